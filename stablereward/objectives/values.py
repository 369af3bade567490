"""The critic's loss and how much of the returns it explains."""

import torch
from torch import Tensor

from stablereward.objectives.advantages import is_flat
from stablereward.objectives.objective import Loss


def value_loss(
    values_BT: Tensor,
    old_values_BT: Tensor,
    returns_BT: Tensor,
    weights_BT: Tensor,
    mask_BT: Tensor,
    *,
    epsilon: float = 0.2,
) -> Loss:
    """max((V - R)^2, (clip(V, V_old - epsilon, V_old + epsilon) - R)^2) / 2, weighted and summed.

    `returns_BT` are GAE advantages before normalising plus V_old; `epsilon` is in units of the return.
    Weights, mask and metrics behave as in `Objective.loss`; value/clip is the share of tokens that the
    clip decided. https://arxiv.org/abs/2005.12729
    """

    def chosen(entries_BT: Tensor) -> Tensor:
        return torch.where(mask_BT, entries_BT, 0.0)

    values_BT, weights_BT = chosen(values_BT), chosen(weights_BT)
    old_BT, returns_BT = chosen(old_values_BT.detach()), chosen(returns_BT.detach())
    clipped_BT = values_BT.clamp(old_BT - epsilon, old_BT + epsilon)
    plain_BT, bounded_BT = (values_BT - returns_BT) ** 2, (clipped_BT - returns_BT) ** 2
    value = (weights_BT * torch.maximum(plain_BT, bounded_BT)).sum() / 2
    return Loss(value, {"value/clip": (weights_BT * (bounded_BT > plain_BT)).sum().detach()})


def explained_variance(values_BT: Tensor, returns_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """1 - Var(R - V) / Var(R) over the tokens: 1 is a perfect critic, 0 a constant one.

    NaN where all returns are equal, rounding aside: there is nothing to explain.
    """
    returns, values = returns_BT[mask_BT], values_BT[mask_BT]
    explained = 1 - (returns - values).var(correction=0) / returns.var(correction=0)
    return torch.where(is_flat(returns.min(), returns.max()), torch.nan, explained)
