"""From the signals of a batch to its advantages: an estimate, a normaliser, a filter.

An estimate gives one value per token; the normaliser and the filter work on those values. Everything
happens once, on the whole batch.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from stablereward.objectives.advantages import (
    Advantages,
    Filter,
    Signals,
    gae,
    moments,
    no_baseline,
    return_to_go,
    terminal_rewards,
    zero_spread_share,
)
from stablereward.objectives.reductions import token_mean

Baseline = Callable[[Tensor, Tensor], Tensor]
"""(rewards_B, groups_B) -> scores_B."""

Estimate = Callable[[Signals], Tensor]
"""Signals -> values_BT, zero off the mask."""

Normaliser = Callable[[Tensor, Tensor], Tensor]
"""(values_BT, mask_BT) -> values_BT."""


def compose(
    estimate: Estimate, *, normalise: Normaliser | None = None, keep: Filter | None = None
) -> Callable[[Signals], Advantages]:
    """Estimate, then normalise, then filter; all three on the whole batch.

    Metrics: `advantages/std`, sigma over the tokens before normalising; `advantages/max_abs`, the
    largest advantage before the filter; `advantages/filtered`, the share of tokens that the filter
    changed; `advantages/zero_spread`, the share of groups (of two or more) whose rewards are all equal.
    The function raises ValueError where the reward of a live trajectory is not finite.
    """

    def advantage(signals: Signals) -> Advantages:
        mask_BT, live_B = signals.mask_BT, signals.mask_BT.any(dim=1)
        raw_BT = estimate(signals)
        mean, std = moments(raw_BT, token_mean(mask_BT))
        scaled_BT = raw_BT if normalise is None else normalise(raw_BT, mask_BT)
        values_BT = scaled_BT if keep is None else torch.where(mask_BT, keep(scaled_BT, mean), 0.0)
        changed = (values_BT != scaled_BT).sum() / mask_BT.sum().clamp(min=1)
        metrics = {
            "advantages/std": std,
            "advantages/max_abs": scaled_BT.abs().max(),
            "advantages/filtered": changed,
            "advantages/zero_spread": zero_spread_share(signals.rewards_B[live_B], signals.groups_B[live_B]),
        }
        return Advantages(values_BT, raw_BT, metrics)

    return advantage


def trajectory_return(baseline: Baseline = no_baseline, *, beta: float = 0.0) -> Estimate:
    """The whole trajectory as one action: every token carries the same value.

    With `beta` the reward is R - beta sum_t (log pi - log pi_ref) before the baseline is taken.
    """

    def estimate(signals: Signals) -> Tensor:
        penalty_B = reference_penalty(signals, beta).sum(dim=1)
        scores_B = scores_of(signals, signals.rewards_B - penalty_B, baseline)
        return torch.where(signals.mask_BT, scores_B[:, None], 0.0)

    return estimate


def token_returns(baseline: Baseline = no_baseline, *, gamma: float = 1.0, beta: float = 0.0) -> Estimate:
    """Return-to-go: the reward on the last token, minus beta (log pi - log pi_ref) on each token."""

    def estimate(signals: Signals) -> Tensor:
        scores_B = scores_of(signals, signals.rewards_B, baseline)
        rewards_BT = terminal_rewards(scores_B, signals.mask_BT) - reference_penalty(signals, beta)
        return return_to_go(rewards_BT, signals.mask_BT, gamma=gamma)

    return estimate


def greedy_baseline_returns(*, beta: float = 0.0) -> Estimate:
    """Return-to-go of R minus the reward of the prompt's greedy answer. ReMax, https://arxiv.org/abs/2310.10505.

    The estimate raises ValueError without `greedy_rewards_B`.
    """

    def estimate(signals: Signals) -> Tensor:
        if signals.greedy_rewards_B is None:
            raise ValueError(
                "greedy_baseline_returns: signals have no greedy_rewards_B; score a greedy answer"
            )
        above = signals._replace(rewards_B=signals.rewards_B - signals.greedy_rewards_B)
        return token_returns(beta=beta)(above)

    return estimate


def critic_advantages(*, gamma: float = 1.0, lam: float = 0.95, beta: float = 0.0) -> Estimate:
    """Generalised advantage estimation with the critic's `values_BT`.

    The critic's regression targets are these (`Advantages.raw_BT`) plus `values_BT`. The estimate raises
    ValueError without values.
    """

    def estimate(signals: Signals) -> Tensor:
        if signals.values_BT is None:
            raise ValueError("critic_advantages: signals have no values_BT; score the batch with the critic")
        scores_B = scores_of(signals, signals.rewards_B, no_baseline)
        rewards_BT = terminal_rewards(scores_B, signals.mask_BT) - reference_penalty(signals, beta)
        return gae(rewards_BT, signals.values_BT, signals.mask_BT, gamma=gamma, lam=lam)

    return estimate


def scores_of(signals: Signals, rewards_B: Tensor, baseline: Baseline) -> Tensor:
    """The baseline over the live trajectories; 0 for those that have left."""
    live_B = signals.mask_BT.any(dim=1)
    bad_B = live_B & ~rewards_B.isfinite()
    if bad_B.any():
        row = int(bad_B.nonzero()[0])
        raise ValueError(f"reward of trajectory {row} is {rewards_B[row].item()}; drop failed trajectories")
    scores_B = torch.zeros_like(rewards_B)
    scores_B[live_B] = baseline(rewards_B[live_B], signals.groups_B[live_B])
    return scores_B


def reference_penalty(signals: Signals, beta: float) -> Tensor:
    """beta k1 per token: in a reward only k1 gives the gradient of the KL without bias."""
    if beta == 0.0:
        return torch.zeros_like(signals.mask_BT, dtype=signals.rewards_B.dtype)
    if signals.reference_log_ratio_BT is None:
        raise ValueError(f"beta is {beta} but signals have no reference_log_ratio_BT; score the reference")
    return beta * torch.where(signals.mask_BT, signals.reference_log_ratio_BT, 0.0)
