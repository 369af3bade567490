"""Learning from comparisons: groups of trajectories of which some are better than others, and a score."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor

from stablereward.errors import DataError
from stablereward.objectives.objective import Loss
from stablereward.objectives.pairwise import bradley_terry, centring, plackett_luce, tie
from stablereward.ranges import Count, NotNegative, Range, Size, require_ranges
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
    all pairs of an update weigh the same. Those of equal rank are drawn together where `tie_coefficient` is
    above 0.
    """

    epochs: Annotated[float, Range(0, 1_000_000, above=True)] = 1.0
    batch_size: Size = 128
    token_budget: Count = 16_384
    tie_coefficient: NotNegative = 0.0
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(learning_rate=3e-6))

    def __post_init__(self) -> None:
        require_ranges(self)

    def num_updates(self, num_questions: int) -> int:
        """Updates that see every question `epochs` times."""
        return max(1, round(self.epochs * num_questions / self.batch_size))


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A micro-batch: its groups, and the weight of a pair, a group and a tie in the whole update."""

    groups: tuple[AnyGroup, ...]
    cost: int
    pair_weight: float
    group_weight: float
    tie_weight: float = 0.0


def compared(group: AnyGroup) -> list[tuple[int, int, float]]:
    """The pairs of trajectories of which one earned more: its number, the other's, and by how much."""
    values = _earned(group)
    return [(i, j, a - b) for i, a in values for j, b in values if a > b]


def tied(group: AnyGroup) -> list[tuple[int, int]]:
    """The pairs of trajectories that earned the same."""
    values = _earned(group)
    return [(i, j) for i, a in values for j, b in values if i < j and a == b]


def _earned(group: AnyGroup) -> list[tuple[int, float]]:
    return [(n, reward.value) for n, reward in enumerate(group.rewards) if isinstance(reward, Reward)]


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
        if not compared(group) and not (config.tie_coefficient and tied(group)):
            raise DataError(f"question {number} has no two responses of different rank; leave it out")
    if not any(map(compared, shown)):
        raise DataError(
            f"all responses of all {len(shown)} questions are tied; give some that differ in rank"
        )
    num_updates = config.num_updates(len(shown))
    for chosen in passes(len(shown), config.batch_size, num_updates, seed, start):
        groups = encode([shown[number] for number in chosen])
        yield pair_batch(groups, costs(groups), config.token_budget)


def pair_batch(groups: Sequence[AnyGroup], costs: Sequence[int], budget: int) -> list[Share]:
    """All of the groups as the micro-batches of one update."""
    num_pairs, num_ties = (sum(len(pairs(group)) for group in groups) for pairs in (compared, tied))
    return [
        Share(
            groups=tuple(groups[n] for n in numbers),
            cost=sum(costs[n] for n in numbers),
            pair_weight=1.0 / max(1, num_pairs),
            group_weight=1.0 / len(groups),
            tie_weight=1.0 / max(1, num_ties),
        )
        for numbers in fill(costs, budget)
    ]


def plain(pairs: Compared) -> Tensor:
    """Bradley-Terry on the scores alone."""
    return bradley_terry(pairs.chosen_C, pairs.rejected_C)


def centred(coefficient: float, pairs: Compared) -> Tensor:
    """Bradley-Terry, and `coefficient` times `objectives.pairwise.centring`."""
    return plain(pairs) + coefficient * centring(pairs.chosen_C, pairs.rejected_C)


def pair_loss(
    measure: Measure, share: Share, comparison: Comparison = plain, *, tie_coefficient: float = 0.0
) -> Loss:
    """The mean loss of the update's pairs, this micro-batch's part of it.

    Adds `tie_coefficient` times the mean of `objectives.pairwise.tie` over the pairs that are equal.
    """
    scores_B = measure(share.groups)
    better: list[int] = []
    worse: list[int] = []
    leads: list[float] = []
    equal: list[tuple[int, int]] = []
    before = 0
    for group in share.groups:
        for i, j, lead in compared(group):
            better.append(before + i)
            worse.append(before + j)
            leads.append(lead)
        equal += [(before + i, before + j) for i, j in tied(group)]
        before += len(group.trajectories)
    pairs = Compared(scores_B[better], scores_B[worse], scores_B.new_tensor(leads))
    value = share.pair_weight * comparison(pairs).sum()
    if tie_coefficient:
        first_E, second_E = (scores_B[[row[n] for row in equal]] for n in range(2))
        value = value + tie_coefficient * share.tie_weight * tie(first_E, second_E).sum()
    return Loss(value, _figures(pairs, share.pair_weight))


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
