"""Learning from the gradient of a reward, through what was made, back to the policy that made it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

from torch import Tensor

from stablereward.objectives.objective import Loss
from stablereward.policies.policy import Drawn, Family, Savable
from stablereward.ranges import Count, Size, require_ranges
from stablereward.runs.folder import RunFolder
from stablereward.training.batching import in_order
from stablereward.training.collect import Collected, figures
from stablereward.training.fit import Update
from stablereward.training.learner import Learner
from stablereward.training.optim import OptimConfig
from stablereward.training.recorder import Recorder
from stablereward.training.rollouts import rollout_rows
from stablereward.types import Group, Reward

NUM_PROMPTS_KEPT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardGradientConfig:
    """`prompts_per_batch` × `num_generations` samples an update, of which `at_once` share one graph."""

    num_updates: Count = 500
    prompts_per_batch: Size = 128
    num_generations: Size = 1
    at_once: Size = 8
    optim: OptimConfig = field(default_factory=OptimConfig)

    def __post_init__(self) -> None:
        require_ranges(self)


class Piece(NamedTuple):
    """A micro-batch: prompts, the seed of each sample, the number of the update, a sample's weight."""

    prompts: Sequence[Any]
    seeds: Sequence[int]
    update: int
    weight: float


def pieces(
    prompts: Sequence[Any], config: RewardGradientConfig, seed: int, start: int = 0
) -> Iterator[list[Piece]]:
    """The micro-batches of the updates after `start`; prompts are taken in their order, again and again.

    The seed of a sample is a function of its update and place, so no cut changes what is drawn.
    """
    num = config.num_generations
    batches = in_order(len(prompts), config.prompts_per_batch, config.num_updates, start)
    for update, chosen in enumerate(batches, start + 1):
        asked = [prompts[number] for number in chosen for _ in range(num)]
        seeds = [hash((seed, update, place)) for place in range(len(asked))]
        yield [
            Piece(asked[n : n + config.at_once], seeds[n : n + config.at_once], update, 1 / len(asked))
            for n in range(0, len(asked), config.at_once)
        ]


def reward_gradient(
    run: RunFolder,
    stage: str,
    module: Savable,
    family: Family[Any, Any],
    draw: Callable[[Piece], Drawn[Any]],
    reward: Callable[[Sequence[Any], Tensor], Tensor],
    prompts: Sequence[Any],
    config: RewardGradientConfig,
    seed: int,
    *,
    price: Callable[[Tensor], Tensor] = lambda rewards_B: -rewards_B,
    keep_every: int = 10,
) -> Learner:
    """Trains `module` down the gradient of `price` of the rewards of what `draw` made, which has a gradient.

    Distributions of every update and the rollouts of every `keep_every`-th are kept in the run folder.
    """
    heard: list[tuple[Any, Any, float]] = []
    recorder = Recorder(run, stage, family.describe)

    def loss(piece: Piece) -> Loss:
        drawn = draw(piece)
        rewards_B = reward(piece.prompts, drawn.outputs)
        heard.extend(zip(piece.prompts, drawn.trajectories, rewards_B.tolist(), strict=True))
        return Loss(piece.weight * price(rewards_B).sum(), {})

    def told(update: Update) -> dict[str, float]:
        groups = _groups(heard)
        heard.clear()
        unknown = tuple((None,) * len(group.trajectories) for group in groups)
        collected = Collected(groups=groups, advantages=unknown, metrics={})
        if update.number % keep_every == 0 or update.number == 1:
            rows = rollout_rows(update.number, collected, family, NUM_PROMPTS_KEPT)
            run.write_rollouts(stage, update.number, rows)
        return {**figures(groups, family), **recorder.record(update.number, collected)}

    return Learner(
        name="policy",
        module=module,
        batches=lambda start: pieces(prompts, config, seed, start),
        loss=loss,
        num_updates=config.num_updates,
        optim=config.optim,
        figures=told,
    )


def _groups(heard: Sequence[tuple[Any, Any, float]]) -> tuple[Group[Any, Any], ...]:
    """Neighbours of one prompt together."""
    found = []
    for prompt, own in groupby(heard, key=lambda one: one[0]):
        _, trajectories, values = zip(*own, strict=True)
        rewards = tuple(Reward(value=value) for value in values)
        found.append(Group(prompt=prompt, trajectories=trajectories, rewards=rewards))
    return tuple(found)
