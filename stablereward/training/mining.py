"""Pairs from groups: which of a prompt's rewarded trajectories are held against which.

A pair is a group of two, the better one first, with what both earned.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from stablereward.types import Group, Reward

AnyGroup = Group[Any, Any]

Right = Callable[[Reward], bool]
"""Whether a trajectory is a right one, by what it earned."""


def extremes(group: AnyGroup) -> list[AnyGroup]:
    """The trajectory of the highest reward over that of the lowest; none where all earned the same.

    Of equals the earlier.
    """
    values = _values(rewarded := group.rewarded())
    if not values or max(values) == min(values):
        return []
    return [_pair(rewarded, values.index(max(values)), values.index(min(values)))]


def widest(group: AnyGroup, right: Right, num: int) -> list[AnyGroup]:
    """Of all pairs of a right trajectory and a wrong one the `num` whose rewards are furthest apart.

    The right one is the better, even where it earned less; of equals the earlier.
    https://arxiv.org/abs/2510.13501, section 4.
    """
    values = _values(rewarded := group.rewarded())
    pairs = sorted(_crossed(rewarded, right), key=lambda pair: values[pair[1]] - values[pair[0]])
    return [_pair(rewarded, *pair) for pair in pairs[:num]]


def any_pairs(group: AnyGroup, right: Right, num: int, rng: random.Random) -> list[AnyGroup]:
    """As many pairs of a right and a wrong trajectory, whatever they earned: the control of `widest`."""
    pairs = _crossed(rewarded := group.rewarded(), right)
    return [_pair(rewarded, *pair) for pair in rng.sample(pairs, min(num, len(pairs)))]


def _crossed(group: AnyGroup, right: Right) -> list[tuple[int, int]]:
    known = [right(reward) for reward in group.rewards if isinstance(reward, Reward)]
    places = range(len(known))
    return [(i, j) for i in places for j in places if known[i] and not known[j]]


def _values(group: AnyGroup) -> Sequence[float]:
    return [reward.value for reward in group.rewards if isinstance(reward, Reward)]


def _pair(group: AnyGroup, better: int, worse: int) -> AnyGroup:
    return replace(
        group,
        trajectories=(group.trajectories[better], group.trajectories[worse]),
        rewards=(group.rewards[better], group.rewards[worse]),
    )
