"""The policy losses, per token and to be minimised: (ratio_BT, advantages_BT, logprobs_BT) -> loss_BT.

All are proportional to the advantage: a weight on the advantages is a weight on the loss.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Clipped(NamedTuple):
    """Which tokens a bound decided, bool: the lower one, the upper one, the one for bad answers."""

    low_BT: Tensor
    high_BT: Tensor
    dual_BT: Tensor


def nothing_clipped(ratio_BT: Tensor, advantages_BT: Tensor) -> Clipped:
    """No token, for losses without bounds."""
    none_BT = torch.zeros_like(ratio_BT, dtype=torch.bool)
    return Clipped(none_BT, none_BT, none_BT)


@dataclass(frozen=True)
class Surrogate:
    """A loss, and which tokens its bounds decided (for metrics only).

    `on_policy`: it looks at no ratio, so its gradient is right only while the policy is the one that sampled.
    """

    loss: Callable[[Tensor, Tensor, Tensor], Tensor]
    clipped: Callable[[Tensor, Tensor], Clipped] = nothing_clipped
    on_policy: bool = False

    def __call__(self, ratio_BT: Tensor, advantages_BT: Tensor, logprobs_BT: Tensor) -> Tensor:
        return self.loss(ratio_BT, advantages_BT, logprobs_BT)


def _policy_gradient(ratio_BT: Tensor, advantages_BT: Tensor, logprobs_BT: Tensor) -> Tensor:
    return -advantages_BT * logprobs_BT


reinforce = Surrogate(_policy_gradient, on_policy=True)
"""-A log pi, whatever the ratio. Williams 1992, https://doi.org/10.1007/BF00992696."""


def ppo_clip(epsilon_low: float = 0.2, epsilon_high: float = 0.2) -> Surrogate:
    """-min(rho A, clip(rho, 1 - epsilon_low, 1 + epsilon_high) A).

    Good tokens stop at 1 + epsilon_high, bad ones at 1 - epsilon_low; a bad token whose ratio grows is
    unbounded. https://arxiv.org/abs/1707.06347, equation 7.
    """
    return dual_clip(epsilon_low=epsilon_low, epsilon_high=epsilon_high, c=math.inf)


def dual_clip(epsilon_low: float = 0.2, epsilon_high: float = 0.2, c: float = 3.0) -> Surrogate:
    """`ppo_clip`, and at most -c A where A < 0. https://arxiv.org/abs/1912.09729.

    For c > 1 + epsilon_high this is also the two-sided clip, which replaces rho by min(rho, c) in the
    unclipped branch (INTELLECT-2, https://arxiv.org/abs/2505.07291).
    """
    low, high = 1 - epsilon_low, 1 + epsilon_high
    if c <= high:
        raise ValueError(f"dual_clip: c is {c}, which must be above 1 + epsilon_high = {high}")

    def bound(advantages_BT: Tensor) -> Tensor:
        return torch.where(advantages_BT < 0, -c * advantages_BT, math.inf)

    def loss(ratio_BT: Tensor, advantages_BT: Tensor, logprobs_BT: Tensor) -> Tensor:
        clipped_BT = ratio_BT.clamp(low, high)
        worst_BT = torch.maximum(-ratio_BT * advantages_BT, -clipped_BT * advantages_BT)
        return torch.minimum(worst_BT, bound(advantages_BT))

    def clipped(ratio_BT: Tensor, advantages_BT: Tensor) -> Clipped:
        return Clipped(
            low_BT=(ratio_BT < low) & (advantages_BT < 0),
            high_BT=(ratio_BT > high) & (advantages_BT > 0),
            dual_BT=(ratio_BT > c) & (advantages_BT < 0),
        )

    return Surrogate(loss, clipped)


def cispo(*, ratio_min: float = 0.0, ratio_max: float = 5.0) -> Surrogate:
    """-sg(clip(rho, ratio_min, ratio_max)) A log pi: the weight is bounded, no token loses its gradient.

    https://arxiv.org/abs/2506.13585.
    """
    if not 0 <= ratio_min <= 1 <= ratio_max:
        raise ValueError(f"cispo: need 0 <= ratio_min <= 1 <= ratio_max, not {ratio_min}, {ratio_max}")

    def loss(ratio_BT: Tensor, advantages_BT: Tensor, logprobs_BT: Tensor) -> Tensor:
        return -ratio_BT.detach().clamp(ratio_min, ratio_max) * advantages_BT * logprobs_BT

    def clipped(ratio_BT: Tensor, advantages_BT: Tensor) -> Clipped:
        none_BT = torch.zeros_like(ratio_BT, dtype=torch.bool)
        return Clipped(low_BT=ratio_BT < ratio_min, high_BT=ratio_BT > ratio_max, dual_BT=none_BT)

    return Surrogate(loss, clipped)
