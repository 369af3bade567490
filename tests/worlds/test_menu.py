"""The world of menus: exact shares, and a policy that is sampled as it is scored."""

import json

import pytest
import torch

from stablereward.policies.forcing import forced
from stablereward.types import Group
from stablereward.worlds.menu import Menu, Shop, Taste, pick, row

SHOP = Shop(Menu(num_prompts=3, num_answers=5), 0)


def test_samples_have_the_log_probabilities_of_their_scores() -> None:
    taste = Taste(SHOP)
    groups = [
        Group(prompt=asked, trajectories=own)
        for asked, own in zip(SHOP.prompts, taste.sample(SHOP.prompts, 3, num=4), strict=True)
        if isinstance(own, tuple)
    ]
    for before, after in zip(groups, forced(taste.family(), groups), strict=True):
        for one, other in zip(before.trajectories, after.trajectories, strict=True):
            assert other.logprobs == pytest.approx(one.logprobs, abs=1e-6)
    assert taste.sample(SHOP.prompts, 3, num=4) == taste.sample(SHOP.prompts, 3, num=4)
    assert torch.allclose(taste.logprobs().exp().sum(-1), torch.ones(3))


def test_utility_is_the_mean_of_what_is_sampled() -> None:
    taste = Taste(SHOP)
    drawn = taste.sample(SHOP.prompts, 0, num=4000)
    mean = sum(
        float(SHOP.utilities_PN[asked.number, one.answer])
        for asked, own in zip(SHOP.prompts, drawn, strict=True)
        if isinstance(own, tuple)
        for one in own
    ) / (3 * 4000)
    assert mean == pytest.approx(taste.utility(), abs=0.05)


def test_what_is_kept_is_what_was_done() -> None:
    [(one, *_), *_] = Taste(SHOP).sample(SHOP.prompts, 0, num=2)  # type: ignore[misc]
    assert pick(json.loads(json.dumps(row(one)))).answer == one.answer
    shown = SHOP.demonstrations()
    assert len(shown) == 20 and shown == Shop(SHOP.menu, 0).demonstrations()
    assert [group.prompt.number for group in shown[:4]] == [0, 1, 2, 0]
