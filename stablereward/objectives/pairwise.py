"""Losses on comparisons and ratings, one number per comparison: the caller weighs and adds them.

Divide by the number of comparisons of the whole batch, not of a micro-batch.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def bradley_terry(
    chosen_B: Tensor,
    rejected_B: Tensor,
    *,
    margin: Tensor | float = 0.0,
    weight: Tensor | float = 1.0,
    beta: Tensor | float = 1.0,
    confidence: Tensor | float = 1.0,
) -> Tensor:
    """w (-c log sigmoid(z) - (1 - c) log sigmoid(-z)), z = beta (s_chosen - s_rejected) - margin.

    Scores are those of the two responses; each setting is one for all or one per pair.
    margin: asks for at least that lead, for example the annotated strength m of the preference.
        https://arxiv.org/abs/2307.09288, equations 1 and 2.
    weight: at m it is the scaled loss of https://arxiv.org/abs/2410.01257, which where all preferences have
        strength 1 is the plain loss; the margin loss is not. Divide by the mean of m, or m is a rate too.
    beta: steepness, 1 over the temperature.
    confidence: the probability that the label is right; below 1 the best lead is finite.
    """
    z_B = beta * (chosen_B - rejected_B) - margin
    if isinstance(confidence, float) and confidence == 1.0:
        return -weight * logsigmoid(z_B)
    return -weight * (confidence * logsigmoid(z_B) + (1 - confidence) * logsigmoid(-z_B))


def centring(chosen_B: Tensor, rejected_B: Tensor) -> Tensor:
    """(s_chosen + s_rejected)^2, which takes the freedom of a constant per question from the scores.

    Without it the scores of two models cannot be compared. https://arxiv.org/abs/2312.09244
    """
    return (chosen_B + rejected_B).square()


def tie(first_B: Tensor, second_B: Tensor) -> Tensor:
    """(s_first - s_second)^2 of two responses that people hold for equal; zero where the scores are.

    https://github.com/Kwai-YuanQi/MM-RLHF has it in its code.
    """
    return (first_B - second_B).square()


def squared_error(scores_BO: Tensor, ratings_BO: Tensor) -> Tensor:
    """The mean over O attributes of (score - rating)^2, [B]. https://arxiv.org/abs/2311.09528"""
    return (scores_BO - ratings_BO).square().mean(dim=1)


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
    """`bradley_terry` of implicit rewards: beta times log pi - log pi_ref, summed over a response's tokens.

    `beta` and `confidence` (the probability that the label is right) may differ per pair.
    https://arxiv.org/abs/2305.18290, equation 7.
    """
    return bradley_terry(chosen_log_ratio_B, rejected_log_ratio_B, beta=beta, confidence=confidence)


def margin_beta(lead_B: Tensor, *, beta: float = 0.1, weight: float = 0.5, sharpness: float = 0.5) -> Tensor:
    """β(δ) = β (1 + w (1 - exp(-k δ))), between β and (1 + w) β: a pair that a reward model is sure of pulls
    harder.

    δ is how much more the better response scores; where it scores less, β(δ) is β.
    https://arxiv.org/abs/2502.10391, section 5.2.
    """
    return beta * (1 + weight * (1 - torch.exp(-sharpness * lead_B.clamp(min=0.0))))
