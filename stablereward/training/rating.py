"""Learning from ratings: responses with a number for each attribute, or a class for each token."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from stablereward.errors import DataError
from stablereward.objectives.objective import Loss
from stablereward.objectives.pairwise import squared_error
from stablereward.training.batching import fill, passes
from stablereward.training.pairwise import AnyGroup, Encode, RewardConfig
from stablereward.types import Reward

Outputs = Callable[[Sequence[AnyGroup]], Tensor]
"""All scores of each trajectory of the groups, [B, O] in their order."""
TokenOutputs = Callable[[Sequence[AnyGroup]], Tensor]
"""The logits of each token of each trajectory, [B, T, O], padded on the right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A micro-batch: its groups, and the weight of a response and of a judged token in the whole update."""

    groups: tuple[AnyGroup, ...]
    cost: int
    response_weight: float
    token_weight: float


def rated_batches(
    shown: Sequence[AnyGroup],
    encode: Encode,
    costs: Callable[[Sequence[AnyGroup]], list[int]],
    config: RewardConfig,
    seed: int,
    start: int = 0,
) -> Iterator[list[Share]]:
    """Batches of rated groups after update `start`; all rated responses of an update weigh the same.

    Raises DataError where a group has no reward.
    """
    for number, group in enumerate(shown, 1):
        if not any(isinstance(reward, Reward) for reward in group.rewards):
            raise DataError(f"question {number} has no response with a rating; leave it out")
    num_updates = config.num_updates(len(shown))
    for chosen in passes(len(shown), config.batch_size, num_updates, seed, start):
        groups = encode([shown[number] for number in chosen])
        yield rated_batch(groups, costs(groups), config.token_budget)


def rated_batch(groups: Sequence[AnyGroup], costs: Sequence[int], budget: int) -> list[Share]:
    """All of the groups as the micro-batches of one update."""
    rewards = [reward for group in groups for reward in group.rewards if isinstance(reward, Reward)]
    judged = sum(step is not None for reward in rewards for step in reward.steps)
    return [
        Share(
            groups=tuple(groups[n] for n in numbers),
            cost=sum(costs[n] for n in numbers),
            response_weight=1.0 / len(rewards),
            token_weight=1.0 / max(1, judged),
        )
        for numbers in fill(costs, budget)
    ]


def regression_loss(outputs: Outputs, share: Share, attributes: Sequence[str]) -> Loss:
    """The mean over the update's rated responses of `squared_error`, this micro-batch's part of it.

    A response's rating of an attribute is the part of that name of its reward; the head's outputs have the
    order of `attributes`. Raises DataError for a response that lacks one.
    """
    scores_BO = outputs(share.groups)
    ratings = [
        None if not isinstance(reward, Reward) else [_rating(reward, name) for name in attributes]
        for group in share.groups
        for reward in _rewards(group)
    ]
    rated = [place for place, one in enumerate(ratings) if one is not None]
    ratings_RO = scores_BO.new_tensor([one for one in ratings if one is not None])
    error_R = squared_error(scores_BO[rated], ratings_RO)
    value = share.response_weight * error_R.sum()
    return Loss(value, {"rating/squared_error": value.detach()})


def class_loss(outputs: TokenOutputs, share: Share) -> Loss:
    """The mean cross-entropy of the update's judged tokens, this micro-batch's part of it.

    A token's class, a whole number from 0, is that step of the reward; None where it is not judged, as
    within a segment that is judged at its end (https://arxiv.org/abs/2404.05046).
    """
    logits_BTO = outputs(share.groups)
    rewards = [reward for group in share.groups for reward in _rewards(group)]
    places, classes = [], []
    for number, reward in enumerate(rewards):
        for step, told in enumerate(reward.steps if isinstance(reward, Reward) else ()):
            if told is not None:
                places.append((number, step))
                classes.append(_class(told, logits_BTO.shape[2]))
    at_J2 = torch.tensor(places, dtype=torch.long, device=logits_BTO.device).reshape(-1, 2)
    logits_JO = logits_BTO[at_J2[:, 0], at_J2[:, 1]]
    classes_J = torch.tensor(classes, dtype=torch.long, device=logits_BTO.device)
    value = share.token_weight * cross_entropy(logits_JO, classes_J, reduction="sum")
    right = share.token_weight * (logits_JO.argmax(dim=1) == classes_J).sum()
    return Loss(value, {"tokens/accuracy": right})


def _rewards(group: AnyGroup) -> Sequence[Any]:
    """One a trajectory, None where there is none."""
    return group.rewards or (None,) * len(group.trajectories)


def _rating(reward: Reward, attribute: str) -> float:
    value = reward.parts.get(attribute)
    if value is None or not abs(value) < float("inf"):
        raise DataError(f"a response has no rating of {attribute!r} that is a number; leave it out")
    return value


def _class(told: float, num: int) -> int:
    if told != int(told) or not 0 <= told < num:
        raise DataError(f"a token has the class {told:g}; the head has {num}, from 0")
    return int(told)
