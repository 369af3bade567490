"""Credit for steps: what a process reward says of each step becomes rewards and returns of tokens.

`steps_BT` holds a score where a step ends and NaN everywhere else, so that a score of 0 is a score. A form
turns scores into rewards; returns and baselines follow. All of it sees whole trajectories.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from stablereward.objectives.advantages import Signals, no_baseline, return_to_go, terminal_rewards
from stablereward.objectives.estimators import Baseline, Estimate, reference_penalty, scores_of

Form = Callable[[Tensor], Tensor]
"""steps_BT -> rewards_BT, 0 where no step ends."""

StepBaseline = Callable[[Tensor, Tensor, Signals], Tensor]
"""(rewards_BT, steps_BT, signals) -> what is subtracted from the rewards, [B, T]."""


def sum_form(steps_BT: Tensor) -> Tensor:
    """Every step pays its score: returns grow with the number of good steps."""
    return steps_BT.nan_to_num(0.0)


def mean_form(steps_BT: Tensor) -> Tensor:
    """Every step pays its share of the mean score."""
    count_B = (~steps_BT.isnan()).sum(dim=1, keepdim=True).clamp(min=1)
    return sum_form(steps_BT) / count_B


def min_form(temperature: float = 0.1) -> Form:
    """w_k s_k with w = softmax(-s / temperature) over the steps: their sum is about the smallest score.

    PURE, https://arxiv.org/abs/2504.15275, equation 4. Bounded by the scores, so that repeating a good step
    pays nothing.
    """

    def form(steps_BT: Tensor) -> Tensor:
        ends_BT = ~steps_BT.isnan()
        weights_BT = torch.where(ends_BT, -steps_BT / temperature, -torch.inf).softmax(dim=1)
        return torch.where(ends_BT, weights_BT * steps_BT, 0.0)

    return form


def clipped(threshold: float) -> Form:
    """min(s - threshold, 0): good enough steps pay nothing, the others cost.

    Clip, https://arxiv.org/abs/2410.15115, section 4.
    """
    return lambda steps_BT: (steps_BT - threshold).clamp(max=0.0).nan_to_num(0.0)


def delta(steps_BT: Tensor) -> Tensor:
    """s_k - s_(k+1), then s_(K-1), then 0: the return from step k < K is its own score.

    Delta, https://arxiv.org/abs/2410.15115, section 4. The last step pays nothing; its success does.
    """
    rewards_BT = torch.zeros_like(steps_BT)
    for row_T, rewards_T in zip(steps_BT, rewards_BT, strict=True):
        ends = (~row_T.isnan()).nonzero()[:, 0]
        if len(ends) > 1:
            scores = row_T[ends]
            rewards_T[ends[:-2]] = scores[:-2] - scores[1:-1]
            rewards_T[ends[-2]] = scores[-2]
    return rewards_BT


def clipped_delta(threshold: float) -> Form:
    """Clip first, then Delta."""
    clip = clipped(threshold)
    return lambda steps_BT: delta(torch.where(steps_BT.isnan(), torch.nan, clip(steps_BT)))


def scaled(form: Form, factor: float) -> Form:
    """The form's rewards times a factor."""
    return lambda steps_BT: factor * form(steps_BT)


def no_step_baseline(rewards_BT: Tensor, steps_BT: Tensor, signals: Signals) -> Tensor:
    """Nothing is subtracted."""
    return torch.zeros_like(rewards_BT)


def token_leave_one_out(rewards_BT: Tensor, steps_BT: Tensor, signals: Signals) -> Tensor:
    """At each step's end: the others' reward per token times the tokens of the step.

    The others are those of the same prompt. PURE, https://arxiv.org/abs/2504.15275, equation 6. Steps that
    write more tokens are held against more, so neither many nor few steps pay.
    """
    lengths_B = signals.mask_BT.sum(dim=1).float()
    per_token_B = _of_others(rewards_BT.sum(dim=1), signals.groups_B) / _of_others(
        lengths_B, signals.groups_B
    ).clamp(min=1.0)
    return per_token_B[:, None] * _tokens_of_steps(steps_BT)


def step_leave_one_out(rewards_BT: Tensor, steps_BT: Tensor, signals: Signals) -> Tensor:
    """At each step's end: the others' reward per step. It makes policies write fewer steps."""
    ends_BT = ~steps_BT.isnan()
    counts_B = _of_others(ends_BT.sum(dim=1).float(), signals.groups_B).clamp(min=1.0)
    per_step_B = _of_others(rewards_BT.sum(dim=1), signals.groups_B) / counts_B
    return torch.where(ends_BT, per_step_B[:, None], 0.0)


def step_returns(
    form: Form = sum_form,
    *,
    baseline: StepBaseline = no_step_baseline,
    outcome: float = 0.0,
    outcome_baseline: Baseline = no_baseline,
    gamma: float = 1.0,
    beta: float = 0.0,
) -> Estimate:
    """Return-to-go of the steps' rewards, less their baseline, plus `outcome` times the trajectory's reward.

    With `beta` each token costs beta (log pi - log pi_ref) besides.
    The estimate raises ValueError where the signals have no `steps_BT`.
    """

    def estimate(signals: Signals) -> Tensor:
        if signals.steps_BT is None:
            raise ValueError("step_returns: signals have no steps_BT; rewards must say what steps earned")
        mask_BT = signals.mask_BT
        steps_BT = torch.where(mask_BT, signals.steps_BT, torch.nan)
        rewards_BT = form(steps_BT)
        rewards_BT = rewards_BT - baseline(rewards_BT, steps_BT, signals)
        if outcome:
            scores_B = scores_of(signals, signals.rewards_B, outcome_baseline)
            rewards_BT = rewards_BT + outcome * terminal_rewards(scores_B, mask_BT)
        return return_to_go(rewards_BT - reference_penalty(signals, beta), mask_BT, gamma=gamma)

    return estimate


def without_step_ends(estimate: Estimate) -> Estimate:
    """The estimate, and 0 where a step ends: at separators and at the end token.

    A step's reward lies there, and its credit would teach to end steps rather than to write good ones. An
    answer of nothing but its end has no advantage at all. PURE's released code does so, and its paper does
    not say it.
    """

    def masked(signals: Signals) -> Tensor:
        values_BT = estimate(signals)
        assert signals.steps_BT is not None
        return torch.where(signals.steps_BT.isnan(), values_BT, 0.0)

    return masked


def _of_others(values_B: Tensor, groups_B: Tensor) -> Tensor:
    """The sum over the other trajectories of the same prompt."""
    same_BB = (groups_B[:, None] == groups_B).to(values_B.dtype)
    return same_BB @ values_B - values_B


def _tokens_of_steps(steps_BT: Tensor) -> Tensor:
    """At each step's end how many tokens the step has; 0 elsewhere."""
    found_BT = torch.zeros_like(steps_BT)
    for row_T, found_T in zip(steps_BT, found_BT, strict=True):
        ends = (~row_T.isnan()).nonzero()[:, 0]
        if len(ends):
            before = torch.cat([ends.new_full((1,), -1), ends[:-1]])
            found_T[ends] = (ends - before).to(found_T.dtype)
    return found_BT
