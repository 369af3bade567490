"""Pairs of points that were annotated twice: by ratings from 0 to 4, and by a preference with its strength.

Nobody who annotates sees a point as it is. Ratings and preferences are made of separate readings with noise
of one size, so that neither knows more than the other of the hidden helpfulness.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stablereward.ranges import NotNegative, Proportion, Size, require_ranges
from stablereward.types import Group, Reward
from stablereward.worlds.utility import SIZE, Frozen, Pair, Point, interaction

ATTRIBUTES = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")
"""What is rated; a preference follows the first alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """The world's settings.

    noise: deviation of one reading; helpfulness has unit variance.
    careless: share of the slight preferences that are turned round; at a half they say nothing.
    """

    features: Size = 64
    num_train: Size = 1000
    num_held_out: Size = 2000
    noise: NotNegative = 2.0
    careless: Proportion = 0.0

    def __post_init__(self) -> None:
        require_ranges(self)


def attributes(points_NX: Tensor) -> Tensor:
    """The five hidden attributes [N, 5], each of unit variance.

    Correctness and coherence go along with helpfulness by .8 and .6, verbosity with complexity by .8.
    """
    helpful_N = interaction(points_NX)
    _, _, _, x3, x4, x5 = points_NX.unbind(1)
    others = 0.8 * helpful_N + 0.6 * x3, 0.6 * helpful_N + 0.8 * x4, x5, 0.8 * x5 + 0.6 * x4
    return torch.stack([helpful_N, *others], dim=1)


def rating(read_NA: Tensor) -> Tensor:
    """A reading, of unit variance, as a whole number from 0 to 4; one deviation is 1.4."""
    return (2 + math.sqrt(2) * read_NA).round().clamp(0, 4)


def strength(gap_N: Tensor) -> Tensor:
    """How strong a preference is by a gap of unit variance: 1 slight, 2 from half a deviation, 3 from one."""
    return 1.0 + (gap_N.abs() >= 0.5) + (gap_N.abs() >= 1)


def pairs(world: Rated, seed: int, *, held_out: bool = False) -> list[Pair]:
    """Pairs of which the one preferred earned the strength, the other 0; the parts are their ratings."""
    num = world.num_held_out if held_out else world.num_train
    frozen = Frozen(world.features - 1, seed)
    drawn = torch.Generator().manual_seed(2**27 + 2 * seed + held_out)
    points_NX = torch.randn((2 * num, SIZE), generator=drawn)
    hidden_NA = attributes(points_NX)
    features_ND = torch.cat(
        [frozen.features(points_NX), torch.ones(2 * num, 1)], dim=1
    )  # one that stands still
    seen = math.sqrt(1 + world.noise**2)  # deviation of a reading
    rated_NA = rating(
        (hidden_NA + world.noise * torch.randn(hidden_NA.shape, generator=drawn)) / seen
    ).tolist()
    read_N2 = (hidden_NA[:, 0] + world.noise * torch.randn(2 * num, generator=drawn)).view(-1, 2)
    gap_N = (read_N2[:, 0] - read_N2[:, 1]) / (math.sqrt(2) * seen)
    turned_N = (torch.rand(num, generator=drawn) < world.careless) & (strength(gap_N) == 1)
    gap_N = torch.where(turned_N, -gap_N, gap_N)
    points = [
        Point(features_D=f, utility=u, num_steps=1)
        for f, u in zip(features_ND, hidden_NA[:, 0].tolist(), strict=True)
    ]
    found = []
    for number, (gap, m) in enumerate(zip(gap_N.tolist(), strength(gap_N).tolist(), strict=True)):
        both = range(2 * number, 2 * number + 2)
        earned = (m, 0.0) if gap > 0 else (0.0, m)
        rewards = tuple(
            Reward(value=value, parts=dict(zip(ATTRIBUTES, rated_NA[n], strict=True)))
            for n, value in zip(both, earned, strict=True)
        )
        found.append(Group(prompt=None, trajectories=tuple(points[n] for n in both), rewards=rewards))
    return found
