"""Several scores of one response made into one: functions of scores [M, N] of M models to scores [N].

A score that is the mean of scores is never misled by a constant that one model adds to all responses of a
question; the others are (`pairwise.centring` takes it away).
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def mean(scores_MN: Tensor) -> Tensor:
    """The plain average. https://arxiv.org/abs/2312.09244"""
    return scores_MN.mean(dim=0)


def median(scores_MN: Tensor) -> Tensor:
    """The middle one; of an even number the mean of the two in the middle."""
    return scores_MN.quantile(0.5, dim=0)


def worst(scores_MN: Tensor) -> Tensor:
    """The lowest, which has to be high for all."""
    return scores_MN.amin(dim=0)


def mean_minus_std(scores_MN: Tensor, coefficient: float = 1.0) -> Tensor:
    """mean - coefficient · std, the deviation over M: what the models do not agree on counts less.

    https://arxiv.org/abs/2312.09244
    """
    return scores_MN.mean(dim=0) - coefficient * scores_MN.std(dim=0, correction=0)


def weighted(scores_MN: Tensor, weights_M: Tensor) -> Tensor:
    """Σ w_m s_m, for example with the weights of `fitted`."""
    return weights_M.to(scores_MN) @ scores_MN


def fused(scores_KN: Tensor, similarities_KN: Tensor) -> Tensor:
    """Σ_i w_i R_i with w_i = s_i / Σ_j s_j over K dialogues that are alike, its own with s = 1 among them.

    RewardFusion, https://arxiv.org/abs/2309.16155.
    """
    return (similarities_KN * scores_KN).sum(dim=0) / similarities_KN.sum(dim=0)


def fitted(leads_CM: Tensor, *, ridge: float = 1e-3, steps: int = 50) -> Tensor:
    """The weights [M] of the mixture that best explains C comparisons, by Newton's method.

    leads_CM: by how much each of M models scores the chosen response higher. Minimises the mean of
    -log sigmoid(leads · w) + ridge |w|² / 2, which has one minimum.
    """
    leads_CM = leads_CM.double()
    weights_M = leads_CM.new_zeros(leads_CM.shape[1])
    eye_MM = ridge * torch.eye(len(weights_M), dtype=leads_CM.dtype, device=leads_CM.device)

    def loss(at_M: Tensor) -> Tensor:
        return -logsigmoid(leads_CM @ at_M).mean() + ridge * at_M.square().sum() / 2

    for _ in range(steps):
        wrong_C = torch.sigmoid(-leads_CM @ weights_M)
        slope_M = -(wrong_C @ leads_CM) / len(leads_CM) + ridge * weights_M
        curve_C = wrong_C * (1 - wrong_C) / len(leads_CM)
        step_M = torch.linalg.solve((leads_CM * curve_C[:, None]).T @ leads_CM + eye_MM, slope_M)
        size = 1.0
        while loss(weights_M - size * step_M) > loss(weights_M) and size > 1e-6:
            size /= 2
        weights_M = weights_M - size * step_M
    return weights_M
