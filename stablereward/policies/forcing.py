"""Teacher forcing: how likely a policy finds what it, or another, has done."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from stablereward.policies.classifier import in_batches
from stablereward.policies.policy import Family
from stablereward.types import Group

SCORED_TOGETHER = 2**14
"""What a micro-batch may cost where nothing is trained; tokens, for tokens."""

AnyGroup = Group[Any, Any]


@torch.no_grad()
def forced(
    family: Family[Any, Any], groups: Sequence[AnyGroup], budget: int = SCORED_TOGETHER
) -> list[AnyGroup]:
    """The same groups, every trajectory with the log-probabilities that the policy gives its steps.

    `logprobs` are then the policy's, whoever took the steps. A group without trajectories stays as it is.
    """
    found = list(groups)
    there = [number for number, group in enumerate(groups) if group.trajectories]
    costs = family.costs([groups[number] for number in there])
    for batch in in_batches(costs, budget):
        some = [there[place] for place in batch]
        rows = iter(family.score([groups[number] for number in some]).logprobs_BT.tolist())
        for number in some:
            own = tuple(
                replace(one, logprobs=tuple(next(rows)[: one.num_steps]))
                for one in groups[number].trajectories
            )
            found[number] = replace(groups[number], trajectories=own)
    return found
