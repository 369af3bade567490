"""DPO as training has it: by hand on tables, whatever the micro-batches, with every hook."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from stablereward.objectives.pairwise import dpo
from stablereward.policies.policy import Scored
from stablereward.training.direct import (
    CONFIDENCE,
    REFERENCE,
    WEIGHT,
    DPOConfig,
    Share,
    dpo_batch,
    dpo_batches,
    dpo_loss,
    lead,
    with_leads_dealt,
    with_parts,
    with_reference,
)
from stablereward.types import Completion, Group, Reward

LOGPROBS = torch.tensor([[-1.0, -2.0], [-0.5, 0.0], [-0.25, -0.25], [-4.0, 0.0]], dtype=torch.float64)
NUM_STEPS = (2, 1, 2, 1)


def pair(first: int, lead: float = 1.0) -> Group[int, Completion]:
    """Rows `first` and the next of the table, the reference uniform over two tokens a step."""
    done = tuple(Completion(text="", token_ids=(0,) * NUM_STEPS[n]) for n in (first, first + 1))
    rewards = (Reward(value=lead), Reward(value=0.0))
    made = Group(prompt=first, trajectories=done, rewards=rewards)
    return with_parts(made, REFERENCE, [NUM_STEPS[n] * math.log(0.5) for n in (first, first + 1)])


def table(logprobs: Tensor) -> object:
    def score(groups):  # type: ignore[no-untyped-def]
        rows = [group.prompt + k for group in groups for k in range(2)]
        return Scored(logprobs[rows])

    return score


def share(*pairs: Group[int, Completion], of: int | None = None) -> Share:
    return Share(groups=pairs, cost=1, pair_weight=1 / (of or len(pairs)))


def test_by_hand() -> None:
    z = 0.3 * ((-3 - 2 * math.log(0.5)) - (-0.5 - math.log(0.5)))
    loss = dpo_loss(table(LOGPROBS), share(pair(0)), beta=0.3)  # type: ignore[arg-type]
    assert float(loss.value) == pytest.approx(math.log1p(math.exp(-z)))
    assert loss.metrics["pairs/accuracy"] == 0.0
    # The likelihood of the better one is a mean over its two steps.
    more = dpo_loss(table(LOGPROBS), share(pair(0)), beta=0.3, sft=0.5)  # type: ignore[arg-type]
    assert float(more.value - loss.value) == pytest.approx(0.5 * 1.5)


def test_law_the_micro_batches_of_an_update_add_up() -> None:
    score = table(LOGPROBS)
    pairs = [with_parts(pair(0), CONFIDENCE, [0.7]), pair(2, lead=2.0)]
    hooks = {"beta": lambda held: 0.1 + held.lead_C, "sft": 0.2}
    whole = dpo_loss(score, share(*pairs), **hooks)  # type: ignore[arg-type]
    parts = [dpo_loss(score, share(one, of=2), **hooks) for one in pairs]  # type: ignore[arg-type]
    assert float(whole.value) == pytest.approx(float(sum(one.value for one in parts)))
    for name in whole.metrics:
        assert float(whole.metrics[name]) == pytest.approx(float(sum(one.metrics[name] for one in parts)))
    assert [len(s.groups) for s in dpo_batch(pairs, lambda groups: [9] * len(groups), 9)] == [1, 1]


def test_hooks_reach_their_pair() -> None:
    score, plain = table(LOGPROBS), pair(0)

    def value(*pairs: Group[int, Completion], beta: object = 0.1) -> float:
        return float(dpo_loss(score, share(*pairs), beta=beta).value)  # type: ignore[arg-type]

    ratio = (LOGPROBS[0].sum() - 2 * math.log(0.5), LOGPROBS[1].sum() - math.log(0.5))
    assert value(with_parts(plain, CONFIDENCE, [0.8])) == pytest.approx(float(dpo(*ratio, confidence=0.8)))
    assert value(with_parts(plain, WEIGHT, [3.0])) == pytest.approx(3 * value(plain))
    assert value(pair(0, lead=-2.0), beta=lambda held: held.lead_C.clamp(min=0) + 0.4) == pytest.approx(
        float(dpo(*ratio, beta=0.4))
    )


def test_law_beta_has_no_gradient() -> None:
    logprobs = LOGPROBS.clone().requires_grad_(True)
    seen = []

    def beta(held):  # type: ignore[no-untyped-def]
        seen.append(held.chosen_C.requires_grad)
        return 0.1 * held.chosen_C

    dpo_loss(table(logprobs), share(pair(0)), beta=beta).value.backward()  # type: ignore[arg-type, no-untyped-call]
    assert seen == [False] and logprobs.grad is not None


def test_the_reference_is_asked_once_and_kept_with_the_pair() -> None:
    bare = replace(pair(0), rewards=(Reward(value=1.0, parts={"right": 1.0}), Reward(value=0.0)))

    def force(groups):  # type: ignore[no-untyped-def]
        return [
            replace(g, trajectories=tuple(replace(t, logprobs=(-1.0,) * t.num_steps) for t in g.trajectories))
            for g in groups
        ]

    [asked] = with_reference([bare], force)
    assert [r.parts for r in asked.rewards] == [{"right": 1.0, "reference": -2.0}, {"reference": -1.0}]  # type: ignore[union-attr]
    assert asked.trajectories == bare.trajectories
    with pytest.raises(ValueError, match="with_reference"):
        dpo_loss(table(LOGPROBS), share(bare))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="two rewarded"):
        dpo_loss(table(LOGPROBS), share(replace(bare, rewards=bare.rewards[:1])))  # type: ignore[arg-type]


def test_batches_go_on_where_they_were() -> None:
    config = DPOConfig(epochs=3, batch_size=1)
    pairs = [pair(0), pair(2)]
    costs = lambda groups: [1] * len(groups)  # noqa: E731
    whole = [s.groups[0].prompt for [s] in dpo_batches(pairs, costs, config, seed=0)]
    assert len(whole) == 6 and sorted(whole[:2]) == [0, 2]
    assert [s.groups[0].prompt for [s] in dpo_batches(pairs, costs, config, 0, 4)] == whole[4:]


def test_law_leads_that_are_dealt_are_the_same_ones_and_nothing_else_moves() -> None:
    pairs = [pair(n % 3, lead=n - 3.0) for n in range(10)]
    moved = with_leads_dealt(pairs, seed=0)
    assert sorted(map(lead, moved)) == sorted(map(lead, pairs)) != list(map(lead, moved))
    assert [p.trajectories for p in moved] == [p.trajectories for p in pairs]
    parts = [[r.parts for r in p.rewards if isinstance(r, Reward)] for p in (*moved, *pairs)]
    assert parts[:10] == parts[10:]
    assert with_leads_dealt(pairs, seed=0) == moved
