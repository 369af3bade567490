"""Learning from comparisons: groups of trajectories of which some are better than others, and a score."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor

from stablereward.errors import DataError
from stablereward.objectives.objective import Loss
from stablereward.objectives.pairwise import bradley_terry, plackett_luce
from stablereward.ranges import Count, Range, Size, require_ranges
from stablereward.training.batching import fill, passes
from stablereward.training.optim import OptimConfig
from stablereward.types import Group, Reward

AnyGroup = Group[Any, Any]
Measure = Callable[[Sequence[AnyGroup]], Tensor]
"""The score of each trajectory of the groups, [B] in their order, with gradient where it is switched on."""
Encode = Callable[[Sequence[AnyGroup]], Sequence[AnyGroup]]
"""Makes of an update's groups what `Measure` takes, once."""


class Compared(NamedTuple):
    """The scores of both sides of C comparisons, and by how much the better one earned more."""

    chosen_C: Tensor
    rejected_C: Tensor
    lead_C: Tensor


Comparison = Callable[[Compared], Tensor]
"""The loss of each comparison, [C]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardConfig:
    """BaseReward: learning rate 3e-6, 128 questions an update, one epoch.

    `batch_size` counts questions. All pairs of a question's responses that differ in rank are compared, and
    all pairs of an update weigh the same.
    """

    epochs: Annotated[float, Range(0, 1_000_000, above=True)] = 1.0
    batch_size: Size = 128
    token_budget: Count = 16_384
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(learning_rate=3e-6))

    def __post_init__(self) -> None:
        require_ranges(self)

    def num_updates(self, num_questions: int) -> int:
        """Updates that see every question `epochs` times."""
        return max(1, round(self.epochs * num_questions / self.batch_size))


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A micro-batch: its groups, and the weight of a pair and of a group in the whole update."""

    groups: tuple[AnyGroup, ...]
    cost: int
    pair_weight: float
    group_weight: float


def compared(group: AnyGroup) -> list[tuple[int, int, float]]:
    """The pairs of trajectories of which one earned more: its number, the other's, and by how much."""
    values = [reward.value if isinstance(reward, Reward) else None for reward in group.rewards]
    return [
        (i, j, a - b)
        for i, a in enumerate(values)
        for j, b in enumerate(values)
        if a is not None and b is not None and a > b
    ]


def pair_batches(
    shown: Sequence[AnyGroup],
    encode: Encode,
    costs: Callable[[Sequence[AnyGroup]], list[int]],
    config: RewardConfig,
    seed: int,
    start: int = 0,
) -> Iterator[list[Share]]:
    """Batches after update `start`. Raises DataError where a group has nothing to compare."""
    for number, group in enumerate(shown, 1):
        if not compared(group):
            raise DataError(f"question {number} has no two responses of different rank; leave it out")
    num_updates = config.num_updates(len(shown))
    for chosen in passes(len(shown), config.batch_size, num_updates, seed, start):
        groups = encode([shown[number] for number in chosen])
        yield pair_batch(groups, costs(groups), config.token_budget)


def pair_batch(groups: Sequence[AnyGroup], costs: Sequence[int], budget: int) -> list[Share]:
    """All of the groups as the micro-batches of one update."""
    num_pairs = sum(len(compared(group)) for group in groups)
    return [
        Share(
            groups=tuple(groups[n] for n in numbers),
            cost=sum(costs[n] for n in numbers),
            pair_weight=1.0 / num_pairs,
            group_weight=1.0 / len(groups),
        )
        for numbers in fill(costs, budget)
    ]


def plain(pairs: Compared) -> Tensor:
    """Bradley-Terry on the scores alone."""
    return bradley_terry(pairs.chosen_C, pairs.rejected_C)


def pair_loss(measure: Measure, share: Share, comparison: Comparison = plain) -> Loss:
    """The mean loss of the update's pairs, this micro-batch's part of it."""
    scores_B = measure(share.groups)
    found, before = [], 0
    for group in share.groups:
        found += [(before + i, before + j, lead) for i, j, lead in compared(group)]
        before += len(group.trajectories)
    better, worse, leads = zip(*found, strict=True)
    pairs = Compared(scores_B[list(better)], scores_B[list(worse)], scores_B.new_tensor(leads))
    return Loss(share.pair_weight * comparison(pairs).sum(), _figures(pairs, share.pair_weight))


def ranking_loss(measure: Measure, share: Share) -> Loss:
    """The mean over the update's groups of `plackett_luce`, which takes a whole ranking as one choice."""
    scores_B = measure(share.groups)
    value = scores_B.new_zeros(())
    before = 0
    for group in share.groups:
        own = scores_B[before : before + len(group.trajectories)]
        earned = torch.tensor([r.value for r in group.rewards if isinstance(r, Reward)], device=own.device)
        value = value + plackett_luce(own[None], -earned[None]).sum()
        before += len(group.trajectories)
    return Loss(share.group_weight * value, {})


def _figures(pairs: Compared, weight: float) -> dict[str, Tensor]:
    with torch.no_grad():
        margin_C = pairs.chosen_C - pairs.rejected_C
        return {
            "pairs/accuracy": weight * (margin_C > 0).sum(),
            "pairs/margin": weight * margin_C.sum(),
            "pairs/score": weight * (pairs.chosen_C + pairs.rejected_C).sum() / 2,
        }
