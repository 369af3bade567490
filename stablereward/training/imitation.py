"""Imitation: trajectories to learn as they are. Supervised fine-tuning, the cold start, best-of-n."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol

from stablereward.objectives.objective import Loss
from stablereward.policies.policy import Score
from stablereward.ranges import Count, Range, Size, require_ranges
from stablereward.training.batching import fill, passes
from stablereward.training.optim import OptimConfig
from stablereward.types import Group

Costs = Callable[[Sequence[Group[Any, Any]]], list[int]]
"""`Family.costs`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SFTConfig:
    """The paper: one epoch, learning rate 1e-5, batches of 256."""

    epochs: Annotated[float, Range(0, 1_000_000, above=True)] = 1.0
    batch_size: Size = 256
    token_budget: Count = 16_384
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(learning_rate=1e-5))

    def __post_init__(self) -> None:
        require_ranges(self)

    def num_updates(self, num_demonstrations: int) -> int:
        """Updates that see every demonstration `epochs` times."""
        return max(1, round(self.epochs * num_demonstrations / self.batch_size))


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A micro-batch of a larger batch: its groups, and the weight of every step in the whole batch."""

    groups: tuple[Group[Any, Any], ...]
    cost: int
    step_weight: float


class Shown(Protocol):
    """What is to be learnt, made into groups when it is picked."""

    def __len__(self) -> int: ...

    def pick(self, numbers: Sequence[int]) -> Sequence[Group[Any, Any]]: ...


def imitation_batches(
    shown: Shown, costs: Costs, config: SFTConfig, seed: int, start: int = 0
) -> Iterator[list[Share]]:
    """Batches after update `start`; the groups of one batch share one mean over all their steps."""
    num_updates = config.num_updates(len(shown))
    for chosen in passes(len(shown), config.batch_size, num_updates, seed, start):
        yield imitation_batch(shown.pick(chosen), costs, config.token_budget)


def imitation_batch(groups: Sequence[Group[Any, Any]], costs: Costs, budget: int) -> list[Share]:
    """All of the groups as the micro-batches of one update."""
    weight = 1.0 / sum(t.num_steps for group in groups for t in group.trajectories)
    own = costs(groups)
    return [
        Share(
            groups=tuple(groups[n] for n in numbers),
            cost=sum(own[n] for n in numbers),
            step_weight=weight,
        )
        for numbers in fill(own, budget)
    ]


def imitation_loss(score: Score, share: Share) -> Loss:
    """Mean negative log-likelihood of the trajectories' steps; of a text's tokens, end token included."""
    scored = score(share.groups)
    value = -share.step_weight * scored.logprobs_BT.sum()
    if scored.entropy_BT is None:
        return Loss(value, {})
    return Loss(value, {"policy/entropy": share.step_weight * scored.entropy_BT.sum().detach()})
