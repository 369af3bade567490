"""Losses on comparisons, one number per comparison: the caller weighs and adds them.

Divide by the number of comparisons of the whole batch, not of a micro-batch.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def bradley_terry(chosen_B: Tensor, rejected_B: Tensor, *, margin: Tensor | float = 0.0) -> Tensor:
    """-log sigmoid(s_chosen - s_rejected - margin), from the scores of the two responses.

    A `margin` (one for all or one per pair) asks for at least that lead, for example the annotated
    strength of the preference. https://arxiv.org/abs/2307.09288, equations 1 and 2.
    """
    return -logsigmoid(chosen_B - rejected_B - margin)


def plackett_luce(scores_BN: Tensor, ranks_BN: Tensor) -> Tensor:
    """-log probability of a ranking in which each place is a softmax choice among those left.

    ranks_BN as in `Preference.ranks`: 0 is the best. Tied responses compete with each other, so their
    scores are drawn together; for two responses without a tie this is `bradley_terry`.
    https://doi.org/10.2307/2346567
    """
    left_BNN = ranks_BN[:, None, :] >= ranks_BN[:, :, None]
    rivals_BNN = torch.where(left_BNN, scores_BN[:, None, :], -torch.inf)
    return (rivals_BNN.logsumexp(dim=2) - scores_BN).sum(dim=1)


def dpo(
    chosen_log_ratio_B: Tensor,
    rejected_log_ratio_B: Tensor,
    *,
    beta: Tensor | float = 0.1,
    confidence: Tensor | float = 1.0,
) -> Tensor:
    """-c log sigmoid(z) - (1 - c) log sigmoid(-z), z = beta (chosen - rejected log-ratio).

    Log-ratios are log pi - log pi_ref, summed over a response's tokens; beta times one is its implicit
    reward. `beta` and `confidence` (the probability that the label is right) may differ per pair.
    https://arxiv.org/abs/2305.18290, equation 7.
    """
    z_B = beta * (chosen_log_ratio_B - rejected_log_ratio_B)
    return -confidence * logsigmoid(z_B) - (1 - confidence) * logsigmoid(-z_B)


def margin_beta(lead_B: Tensor, *, beta: float = 0.1, weight: float = 0.5, sharpness: float = 0.5) -> Tensor:
    """β(δ) = β (1 + w (1 - exp(-k δ))), between β and (1 + w) β: a pair that a reward model is sure of pulls
    harder.

    δ is how much more the better response scores; where it scores less, β(δ) is β.
    https://arxiv.org/abs/2502.10391, section 5.2.
    """
    return beta * (1 + weight * (1 - torch.exp(-sharpness * lead_B.clamp(min=0.0))))
