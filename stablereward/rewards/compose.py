"""Rewards made of rewards. If a part that is needed is a Failure, the whole is that Failure."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from stablereward.rewards.reward import GroupReward, RewardFunction, Sample, apply
from stablereward.types import Failure, Group, Reward


def r1_reward(
    format: RewardFunction,
    result: RewardFunction,
    consistency: RewardFunction,
    *,
    consistency_weight: float = 0.5,
    format_weight: float = 0.5,
) -> RewardFunction:
    """result · (1 + consistency_weight · consistency) + format_weight · format.

    Section 4.3 of https://arxiv.org/abs/2505.02835, where both weights are 0.5. Consistency multiplies
    the result so that it cannot pay for a wrong answer; where the result is 0 it does not matter, is not
    asked for, and is absent from the parts.
    """

    async def r1(sample: Sample) -> Reward | Failure:
        formed = await apply(format, sample)
        if isinstance(formed, Failure):
            return formed
        right = await apply(result, sample)
        if isinstance(right, Failure):
            return right
        parts = {"format": formed.value, "result": right.value}
        value = format_weight * formed.value
        if right.value != 0:
            consistent = await apply(consistency, sample)
            if isinstance(consistent, Failure):
                return consistent
            parts["consistency"] = consistent.value
            value += right.value * (1 + consistency_weight * consistent.value)
        return Reward(value=value, parts=parts)

    return r1


def weighted_sum(terms: Mapping[str, tuple[float, RewardFunction]]) -> RewardFunction:
    """Σ weight · reward over named terms; the parts are the unweighted values by name."""

    async def total(sample: Sample) -> Reward | Failure:
        parts: dict[str, float] = {}
        for name, (_, reward) in terms.items():
            outcome = await apply(reward, sample)
            if isinstance(outcome, Failure):
                return outcome
            parts[name] = outcome.value
        return Reward(value=sum(weight * parts[name] for name, (weight, _) in terms.items()), parts=parts)

    return total


def transformed(reward: GroupReward, function: Callable[[float], float]) -> GroupReward:
    """The function of every reward's value, its parts as they are."""

    async def changed(group: Group[Any, Any]) -> Sequence[Reward | Failure]:
        outcomes = reward(group)
        known = await outcomes if inspect.isawaitable(outcomes) else outcomes
        return [r if isinstance(r, Failure) else replace(r, value=function(r.value)) for r in known]

    return changed
