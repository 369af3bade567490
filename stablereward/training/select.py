"""Which of what was sampled is imitated: the best of each prompt, or of all together."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from stablereward.types import Group, P, Reward, T

AnyGroup = Group[Any, Any]


def best(group: Group[P, T], n: int = 1) -> Group[P, T]:
    """The n trajectories of highest reward, the best first; of equals the earlier.

    Only the order of the rewards matters. What failed is never chosen, so there may be fewer than n.
    """
    rewarded = group.rewarded()
    return _taken(rewarded, _ranked([_value(reward) for reward in rewarded.rewards])[:n])


def top_share(groups: Sequence[AnyGroup], share: float) -> list[AnyGroup]:
    """The trajectories whose rewards are in the top `share` of all groups', at least one; of equals the
    earlier. Groups without one are left out: prompts that are easy are chosen oftener than others.
    """
    rewarded = [group.rewarded() for group in groups]
    places = [(number, k) for number, group in enumerate(rewarded) for k in range(len(group.rewards))]
    values = [_value(rewarded[number].rewards[k]) for number, k in places]
    chosen = {places[n] for n in _ranked(values)[: max(1, round(share * len(places)))]}
    found = [
        _taken(group, [k for k in range(len(group.rewards)) if (number, k) in chosen])
        for number, group in enumerate(rewarded)
    ]
    return [group for group in found if group.trajectories]


def some(group: Group[P, T], n: int, rng: random.Random) -> Group[P, T]:
    """n of the rewarded trajectories, whatever they earned: the control of a ranking."""
    rewarded = group.rewarded()
    return _taken(rewarded, rng.sample(range(len(rewarded.rewards)), min(n, len(rewarded.rewards))))


def best_of_each(groups: Sequence[AnyGroup]) -> list[AnyGroup]:
    """The best trajectory of every group that has a reward."""
    return [chosen for group in groups if (chosen := best(group)).trajectories]


def any_of_each(groups: Sequence[AnyGroup], seed: int) -> list[AnyGroup]:
    """A trajectory of every group that has a reward, whatever it earned."""
    rng = random.Random(seed)
    return [chosen for group in groups if (chosen := some(group, 1, rng)).trajectories]


def _ranked(values: Sequence[float]) -> list[int]:
    return sorted(range(len(values)), key=lambda n: -values[n])


def _taken(group: Group[P, T], numbers: Sequence[int]) -> Group[P, T]:
    return replace(
        group,
        trajectories=tuple(group.trajectories[n] for n in numbers),
        rewards=tuple(group.rewards[n] for n in numbers),
    )


def _value(reward: object) -> float:
    assert isinstance(reward, Reward)
    return reward.value
