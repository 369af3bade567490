"""The loss of a batch is the mean over its pairs, however it is cut; what is better comes to score higher."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from stablereward.errors import DataError
from stablereward.objectives.pairwise import bradley_terry
from stablereward.policies.scalar import ScalarModel, dialogue
from stablereward.training.fit import fit
from stablereward.training.optim import OptimConfig, adamw
from stablereward.training.pairwise import (
    AnyGroup,
    Compared,
    RewardConfig,
    Share,
    compared,
    pair_batch,
    pair_batches,
    pair_loss,
    ranking_loss,
)
from stablereward.types import Failure, Group, Preference, Reward, pictured
from tests.policies.families import ALL, ONE_IMAGE, make

WHOLE = 10**6
SCORES = {"a": 1.0, "b": 3.0, "c": 2.0, "d": 0.0}


def group(earned: dict[str, float]) -> AnyGroup:
    """Trajectories that are letters."""
    return Group(
        prompt="q", trajectories=tuple(earned), rewards=tuple(Reward(value=v) for v in earned.values())
    )


def measure(groups: Sequence[AnyGroup]) -> Tensor:
    return torch.tensor([SCORES[t] for one in groups for t in one.trajectories], requires_grad=True)


GROUPS = [group({"a": 1.0, "b": 0.0}), group({"c": 2.0, "a": 2.0, "d": 0.0}), group({"b": 3.0, "d": 1.0})]


def batch(budget: int) -> list[Share]:
    return pair_batch(GROUPS, [len(one.trajectories) for one in GROUPS], budget)


def test_pairs_are_those_that_differ() -> None:
    assert compared(GROUPS[1]) == [(0, 2, 2.0), (1, 2, 2.0)]
    failed = Group(prompt="q", trajectories=("a", "b"), rewards=(Failure(reason="x"), Reward(value=1.0)))
    assert compared(failed) == []
    assert compared(Group(prompt="q", trajectories=("a", "b"))) == []


def test_pair_loss_by_hand() -> None:
    [share] = batch(WHOLE)
    loss = pair_loss(measure, share)
    margins = (-2.0, 2.0, 1.0, 3.0)
    assert loss.value.item() == pytest.approx(sum(math.log1p(math.exp(-m)) for m in margins) / 4)
    assert float(loss.metrics["pairs/accuracy"]) == 0.75
    assert float(loss.metrics["pairs/margin"]) == pytest.approx(1.0)
    assert float(loss.metrics["pairs/score"]) == pytest.approx((4 + 2 + 1 + 3) / 8)


def test_a_comparison_sees_by_how_much_one_is_better() -> None:
    [share] = batch(WHOLE)

    def with_margin(pairs: Compared) -> Tensor:
        assert pairs.lead_C.tolist() == [1.0, 2.0, 2.0, 2.0]
        return bradley_terry(pairs.chosen_C, pairs.rejected_C, margin=pairs.lead_C)

    margins = (-3.0, 0.0, -1.0, 1.0)
    value = pair_loss(measure, share, with_margin).value.item()
    assert value == pytest.approx(sum(math.log1p(math.exp(-m)) for m in margins) / 4)


def test_ranking_loss_is_the_pair_loss_of_two_and_one_choice_after_the_other_of_more() -> None:
    two = pair_batch([GROUPS[0], GROUPS[2]], [2, 2], WHOLE)[0]
    assert ranking_loss(measure, two).value.item() == pytest.approx(pair_loss(measure, two).value.item())
    three = pair_batch([group({"a": 0.0, "b": 2.0, "c": 1.0})], [3], WHOLE)[0]
    e = math.exp
    expected = -math.log(e(3) / (e(1) + e(3) + e(2))) - math.log(e(2) / (e(1) + e(2)))
    assert ranking_loss(measure, three).value.item() == pytest.approx(expected)


@pytest.mark.parametrize("loss", [pair_loss, ranking_loss])
def test_law_micro_batches_add_up(loss) -> None:  # type: ignore[no-untyped-def]
    [whole] = batch(WHOLE)
    pieces = batch(1)
    assert len(pieces) == 3
    total = sum(loss(measure, piece).value.item() for piece in pieces)
    assert total == pytest.approx(loss(measure, whole).value.item())


def test_nothing_to_compare_is_refused() -> None:
    ties = [GROUPS[0], group({"a": 1.0, "b": 1.0})]
    with pytest.raises(DataError, match="question 2 has no two responses of different rank"):
        next(pair_batches(ties, list, lambda groups: [1] * len(groups), RewardConfig(), seed=0))


def test_batches_go_on_where_they_stopped() -> None:
    config = RewardConfig(epochs=4.0, batch_size=2)

    def batches(start: int) -> list[list[Share]]:
        return list(pair_batches(GROUPS, list, lambda groups: [1] * len(groups), config, seed=3, start=start))

    assert len(batches(0)) == config.num_updates(3) == 6
    assert batches(0)[4:] == batches(4)


@pytest.mark.parametrize("family", ALL)
def test_law_a_split_batch_has_the_whole_ones_gradient_on_every_family(family: str, tmp_path: Path) -> None:
    make(family, tmp_path)
    model = ScalarModel.start(tmp_path, device="cpu")
    images = () if family == "llama" else ONE_IMAGE.images
    shown = [
        Preference(question="What is it?", responses=("A cat.", "No"), ranks=(0, 1), images=images),
        Preference(question="Hi", responses=("Yes", "Yes, and more", "N"), ranks=(2, 0, 1)),
    ]
    groups = model.encoded([dialogue(preference) for preference in shown])

    def gradient(budget: int) -> tuple[float, list[Tensor]]:
        model.zero_grad(set_to_none=True)
        losses = [
            pair_loss(model.measure, share) for share in pair_batch(groups, model.costs(groups), budget)
        ]
        for loss in losses:
            loss.value.backward()  # type: ignore[no-untyped-call]
        found = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        return sum(float(loss.value.detach()) for loss in losses), found

    (whole, wholes), (split, splits) = gradient(WHOLE), gradient(1)
    assert split == pytest.approx(whole, abs=1e-6)
    for one, other in zip(wholes, splits, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl", "llava"])
def test_pictures_that_are_preferred_come_to_score_higher(family: str, tmp_path: Path) -> None:
    """Red beats blue, whatever the size; told on pairs that were not trained on."""
    make(family, tmp_path)
    model = ScalarModel.start(tmp_path, device="cpu")
    pairs = [
        Preference(
            question="Draw something red.",
            responses=tuple(
                pictured(Image.new("RGB", (28 * n, 28 * m), colour)) for colour in ("blue", "red")
            ),
            ranks=(1, 0),
        )
        for n, m in ((2, 2), (2, 3), (3, 2), (3, 3), (4, 2))
    ]
    config = RewardConfig(epochs=12.0, batch_size=4, optim=OptimConfig(learning_rate=3e-3))
    shown = [dialogue(pair) for pair in pairs[:4]]
    for _ in fit(
        model.parameters(),
        pair_batches(shown, model.encoded, model.costs, config, seed=0),
        lambda share: pair_loss(model.measure, share),
        optimizer=adamw(model.parameters(), config.optim),
        learning_rate=lambda _: config.optim.learning_rate,
    ):
        pass
    [(blue, red), (first, second)] = model.scores([pairs[4], pairs[4].swapped()])
    assert isinstance(red, float) and isinstance(blue, float) and red > blue
    assert (first, second) == pytest.approx((red, blue), abs=1e-5)


def test_what_is_preferred_comes_to_score_higher(tmp_path: Path) -> None:
    make("qwen2_5_vl", tmp_path)
    model = ScalarModel.start(tmp_path, device="cpu")
    names = ("cat", "dog", "red circle", "blue square", "tree", "green star", "house", "left")
    pairs = [
        Preference(question="What is it?", responses=(f"No {name}.", f"A {name}, I am sure."), ranks=(1, 0))
        for name in names
    ]
    config = RewardConfig(epochs=20.0, batch_size=6, optim=OptimConfig(learning_rate=3e-3))
    shown = [dialogue(pair) for pair in pairs[:6]]
    for _ in fit(
        model.parameters(),
        pair_batches(shown, model.encoded, model.costs, config, seed=0),
        lambda share: pair_loss(model.measure, share),
        optimizer=adamw(model.parameters(), config.optim),
        learning_rate=lambda _: config.optim.learning_rate,
    ):
        pass
    for bad, good in model.scores(pairs[6:]):
        assert isinstance(good, float) and isinstance(bad, float) and good > bad + 1
