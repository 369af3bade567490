"""Direct preference optimisation: a policy learns from pairs, held to a reference that is asked once.

A pair is a group of two trajectories, the better one first (see `training.mining`). What training needs to
know of it stands in the parts of its rewards, where it is kept with the pair: "reference", the reference's
log-probability of the whole trajectory; on the better one, where it is not 1, "confidence", the probability
that the label is right, and "weight", what the pair counts.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor

from stablereward.objectives.objective import Loss
from stablereward.objectives.pairwise import dpo
from stablereward.policies.policy import Score
from stablereward.ranges import Count, NotNegative, Positive, Range, Size, require_ranges
from stablereward.training.batching import fill, passes
from stablereward.training.optim import OptimConfig
from stablereward.types import Group, Reward

AnyGroup = Group[Any, Any]
Costs = Callable[[Sequence[AnyGroup]], list[int]]
"""`Family.costs`."""
Force = Callable[[Sequence[AnyGroup]], Sequence[AnyGroup]]
"""Gives every trajectory the log-probabilities of a policy."""

REFERENCE, CONFIDENCE, WEIGHT = "reference", "confidence", "weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class DPOConfig:
    """https://arxiv.org/abs/2305.18290: β 0.1, learning rate 1e-6, one epoch of batches of 64 pairs.

    `sft` weighs the mean negative log-likelihood of a better trajectory's step, which is added.
    """

    beta: Positive = 0.1
    sft: NotNegative = 0.0
    epochs: Annotated[float, Range(0, 1_000_000, above=True)] = 1.0
    batch_size: Size = 64
    token_budget: Count = 16_384
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(learning_rate=1e-6))

    def __post_init__(self) -> None:
        require_ranges(self)

    def num_updates(self, num_pairs: int) -> int:
        """Updates that see every pair `epochs` times."""
        return max(1, round(self.epochs * num_pairs / self.batch_size))


class Held(NamedTuple):
    """C pairs as a loss sees them: log π - log π_ref of both sides, and how much more the better earned.

    `lead_C` may be negative: a label and a reward can disagree.
    """

    chosen_C: Tensor
    rejected_C: Tensor
    lead_C: Tensor


Beta = Callable[[Held], Tensor | float]
"""β of every pair, from pairs without gradient."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A micro-batch of pairs, and the weight of a pair in the whole update."""

    groups: tuple[AnyGroup, ...]
    cost: int
    pair_weight: float


def with_reference(pairs: Sequence[AnyGroup], force: Force) -> list[AnyGroup]:
    """The pairs with the reference's log-probability of both sides; `force` is `policies.forcing.forced` of
    its family."""
    return [
        with_parts(pair, REFERENCE, [math.fsum(one.logprobs) for one in asked.trajectories])
        for pair, asked in zip(pairs, force(pairs), strict=True)
    ]


def with_parts(pair: AnyGroup, name: str, values: Sequence[float]) -> AnyGroup:
    """The group with one more part in the reward of each trajectory, or of its first ones."""
    told = [
        replace(reward, parts={**reward.parts, name: value}) if isinstance(reward, Reward) else reward
        for reward, value in zip(pair.rewards, values, strict=False)
    ]
    return replace(pair, rewards=(*told, *pair.rewards[len(told) :]))


def lead(pair: AnyGroup) -> float:
    """δ: how much more the better one earned, which may be less than nothing."""
    better, worse = _both(pair)
    return better.value - worse.value


def with_leads_dealt(pairs: Sequence[AnyGroup], seed: int) -> list[AnyGroup]:
    """The pairs, each with the lead of another: the control of whatever follows the lead."""
    leads = list(map(lead, pairs))
    random.Random(seed).shuffle(leads)
    found = []
    for pair, by in zip(pairs, leads, strict=True):
        better, worse = _both(pair)
        found.append(replace(pair, rewards=(replace(better, value=by), replace(worse, value=0.0))))
    return found


def dpo_batches(
    pairs: Sequence[AnyGroup], costs: Costs, config: DPOConfig, seed: int, start: int = 0
) -> Iterator[list[Share]]:
    """Batches after update `start`."""
    for numbers in passes(len(pairs), config.batch_size, config.num_updates(len(pairs)), seed, start):
        yield dpo_batch([pairs[number] for number in numbers], costs, config.token_budget)


def dpo_batch(pairs: Sequence[AnyGroup], costs: Costs, budget: int) -> list[Share]:
    """All of the pairs as the micro-batches of one update."""
    own = costs(pairs)
    return [
        Share(
            groups=tuple(pairs[n] for n in numbers),
            cost=sum(own[n] for n in numbers),
            pair_weight=1.0 / len(pairs),
        )
        for numbers in fill(own, budget)
    ]


def dpo_loss(score: Score, share: Share, *, beta: Beta | float = 0.1, sft: float = 0.0) -> Loss:
    """`objectives.pairwise.dpo`, the mean over the pairs of an update, and `sft` times the likelihood's.

    Raises ValueError for a pair whose reference was not asked (see `with_reference`).
    """
    logprobs_BT = score(share.groups).logprobs_BT
    sums_B = logprobs_BT.sum(-1)
    rewards = [_both(group) for group in share.groups]
    reference_B = _parts([reward for both in rewards for reward in both], REFERENCE, None).to(sums_B)
    ratios_B = sums_B - reference_B
    leads = torch.tensor([better.value - worse.value for better, worse in rewards])
    pairs = Held(ratios_B[::2], ratios_B[1::2], leads.to(sums_B))
    better = [both[0] for both in rewards]
    with torch.no_grad():
        beta_C = beta if isinstance(beta, float) else beta(Held(*(part.detach() for part in pairs)))
    confidence_C = _parts(better, CONFIDENCE, 1.0).to(sums_B)
    weight_C = share.pair_weight * _parts(better, WEIGHT, 1.0).to(sums_B)
    losses_C = dpo(pairs.chosen_C, pairs.rejected_C, beta=beta_C, confidence=confidence_C)
    value = (weight_C * losses_C).sum()
    if sft:
        steps_C = torch.tensor([group.trajectories[0].num_steps for group in share.groups]).to(sums_B)
        value = value - sft * (weight_C * sums_B[::2] / steps_C).sum()
    return Loss(value, _figures(pairs, share.pair_weight))


def _both(pair: AnyGroup) -> tuple[Reward, Reward]:
    rewards = [reward for reward in pair.rewards if isinstance(reward, Reward)]
    if len(rewards) != 2 or len(pair.trajectories) != 2:
        raise ValueError(f"a pair has two rewarded trajectories, not {len(rewards)}")
    return rewards[0], rewards[1]


def _parts(rewards: Sequence[Reward], name: str, missing: float | None) -> Tensor:
    found = [reward.parts.get(name, missing) for reward in rewards]
    if None in found:
        raise ValueError(f"a pair has no {name!r} among the parts of its rewards; use `with_reference`")
    return torch.tensor(found)


def _figures(pairs: Held, weight: float) -> dict[str, Tensor]:
    with torch.no_grad():
        margin_C = pairs.chosen_C - pairs.rejected_C
        return {
            "pairs/accuracy": weight * (margin_C > 0).sum(),
            "pairs/margin": weight * margin_C.sum(),
            "pairs/chosen_log_ratio": weight * pairs.chosen_C.sum(),
            "pairs/rejected_log_ratio": weight * pairs.rejected_C.sum(),
        }
