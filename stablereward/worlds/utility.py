"""Responses that are points with a hidden utility: what a score head can learn, without a language model.

A point's frozen random features stand for the states of a backbone. Which of two points is preferred is drawn
by Bradley-Terry from their utilities; who scores is measured against the utilities themselves.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stablereward.policies.scalar_head import HeadConfig, scalar_head
from stablereward.ranges import Positive, Size, require_ranges
from stablereward.types import Group, Reward

WEIGHTS = "reward_head.safetensors"
SIZE = 6
"""Numbers of a point, each standard normal and hidden from the head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utility:
    """The world's settings. Choices are drawn from `sharpness` times the utilities, which have unit variance.

    nonlinear: x0·x1, which is high where both have one sign, as in exclusive or, and tanh(2·x2), which
        saturates. linear: a sum of the features, each with a random weight, so that one layer can say it.
    """

    kind: Literal["nonlinear", "linear"] = "nonlinear"
    features: Size = 32
    num_train: Size = 2000
    num_held_out: Size = 2000
    sharpness: Positive = 4.0

    def __post_init__(self) -> None:
        require_ranges(self)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Point:
    """A response: its features, its hidden utility, and a length that has nothing to do with it."""

    features_D: Tensor
    utility: float
    num_steps: int
    logprobs: tuple[float, ...] = ()
    finished: bool = True


Pair = Group[None, Point]


def interaction(points_NX: Tensor) -> Tensor:
    """The nonlinear utility [N]."""
    x0, x1, x2, *_ = points_NX.unbind(1)
    return (x0 * x1 + torch.tanh(2 * x2)) / math.sqrt(1 + 0.6)  # the variance of tanh(2·x) is about 0.6


class Frozen:
    """What a seed fixes for both parts: features tanh(W·x + b), and the weights of the linear utility."""

    def __init__(self, num_features: int, seed: int) -> None:
        drawn = torch.Generator().manual_seed(2 * seed)
        self.weights_DX = torch.randn((num_features, SIZE), generator=drawn) / math.sqrt(SIZE)
        self.bias_D = torch.randn(num_features, generator=drawn) / 2
        linear_D = torch.randn(num_features, generator=drawn)
        sample_N = self.features(torch.randn((4096, SIZE), generator=drawn)) @ linear_D
        self.linear_D = linear_D / sample_N.std()

    def features(self, points_NX: Tensor) -> Tensor:
        """The states [N, D] that a head is shown."""
        return torch.tanh(points_NX @ self.weights_DX.T + self.bias_D)

    def utilities(self, points_NX: Tensor, kind: str) -> Tensor:
        """The hidden utilities [N], of unit variance; no one who trains is told."""
        return interaction(points_NX) if kind == "nonlinear" else self.features(points_NX) @ self.linear_D


def points(world: Utility, num: int, seed: int, *, held_out: bool) -> list[Point]:
    """Points, seen through one map in both parts."""
    frozen = Frozen(world.features, seed)
    drawn = torch.Generator().manual_seed(2**20 + 2 * seed + held_out)
    points_NX = torch.randn((num, SIZE), generator=drawn)
    lengths_N = torch.randint(5, 300, (num,), generator=drawn)
    utilities_N = frozen.utilities(points_NX, world.kind)
    told = zip(frozen.features(points_NX), utilities_N.tolist(), lengths_N.tolist(), strict=True)
    return [Point(features_D=f, utility=u, num_steps=n) for f, u, n in told]


def preferred(world: Utility, seed: int) -> list[Pair]:
    """Pairs to train on. The one preferred earned 1, the other 0."""
    made = points(world, 2 * world.num_train, seed, held_out=False)
    drawn = torch.rand(world.num_train, generator=torch.Generator().manual_seed(2**21 + seed)).tolist()
    found = []
    for first, second, die in zip(made[::2], made[1::2], drawn, strict=True):
        ahead = world.sharpness * (first.utility - second.utility)
        won = float(die < 1 / (1 + math.exp(-ahead)))
        rewards = (Reward(value=won), Reward(value=1 - won))
        found.append(Group(prompt=None, trajectories=(first, second), rewards=rewards))
    return found


class PointScorer(nn.Module):
    """A score head on the features, which do not learn."""

    def __init__(self, features: int, config: HeadConfig, seed: int) -> None:
        super().__init__()
        self.head = scalar_head(features, config, seed)

    def encoded(self, groups: Sequence[Pair]) -> Sequence[Pair]:
        """Nothing is left to do."""
        return groups

    def costs(self, groups: Sequence[Pair]) -> list[int]:
        """One a point."""
        return [len(group.trajectories) for group in groups]

    def measure(self, groups: Sequence[Pair]) -> Tensor:
        """The first score of each point, [B]."""
        return self.outputs(groups)[:, 0]

    def outputs(self, groups: Sequence[Pair]) -> Tensor:
        """All scores of each point, [B, O]."""
        scores_BO: Tensor = self.head(torch.stack([p.features_D for g in groups for p in g.trajectories]))
        return scores_BO

    def save(self, folder: Path) -> None:
        """Writes the head."""
        save_file(self.head.state_dict(), folder / WEIGHTS)

    def read(self, folder: Path) -> Self:
        """Takes the head that `save` wrote."""
        self.head.load_state_dict(load_file(folder / WEIGHTS))
        return self


def right(scorer: PointScorer, world: Utility, seed: int) -> list[bool]:
    """For each held-out pair whether the point of higher utility has the higher score."""
    return ordered(scorer, points(world, 2 * world.num_held_out, seed, held_out=True))


@torch.no_grad()
def ordered(scorer: PointScorer, made: Sequence[Point]) -> list[bool]:
    """For each two points, one after the other, whether that of higher utility has the higher score."""
    scores = scorer.measure([Group(prompt=None, trajectories=tuple(made))]).tolist()
    both = zip(made[::2], made[1::2], scores[::2], scores[1::2], strict=True)
    return [(first.utility > second.utility) == (a > b) for first, second, a, b in both]
