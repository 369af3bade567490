"""The parts advantages are made of, each a function of tensors.

All of them see the WHOLE batch (all ranks, before any split into micro-batches): a mean over half a
batch is another number. `estimators` puts the parts together.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from stablereward.objectives.reductions import sequence_mean_token_mean, token_mean

RESOLUTION = 1e-6
"""float32 keeps about seven digits: values closer than this share of their size count as equal."""


class Signals(NamedTuple):
    """What an advantage function sees of a whole batch of B trajectories.

    rewards_B: terminal reward of each trajectory, float32.
    groups_B: long; equal numbers mean the same prompt; groups may differ in size.
    mask_BT: bool, True where the policy chose the token. A row without a True has left the batch: its
        reward may be NaN and takes part in nothing.
    reference_log_ratio_BT: log pi - log pi_ref at sampling time, for the KL in the reward.
    values_BT: a critic's values (PPO).
    greedy_rewards_B: reward of the greedy answer to the trajectory's prompt (ReMax).
    steps_BT: the score of each step that is judged, where the rewards have them; NaN elsewhere.
    """

    rewards_B: Tensor
    groups_B: Tensor
    mask_BT: Tensor
    reference_log_ratio_BT: Tensor | None = None
    values_BT: Tensor | None = None
    greedy_rewards_B: Tensor | None = None
    steps_BT: Tensor | None = None


class Advantages(NamedTuple):
    """`values_BT` is zero off the mask; `raw_BT` is the estimate before it was normalised and filtered.

    `metrics` are scalars of the whole batch.
    """

    values_BT: Tensor
    raw_BT: Tensor
    metrics: dict[str, Tensor]


def is_flat(lowest: Tensor, highest: Tensor) -> Tensor:
    """Whether values between these two are equal but for rounding."""
    return highest - lowest <= RESOLUTION * torch.maximum(lowest.abs(), highest.abs())


# Over the tokens of the batch -------------------------------------------------------------------------


def moments(values_BT: Tensor, weights_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and population standard deviation under weights that add up to one, in two passes.

    The deviation is exactly 0 where all values are equal. Entries of weight 0 may be NaN.
    """
    used_BT = weights_BT > 0
    values_BT = torch.where(used_BT, values_BT, 0.0)
    mean = (weights_BT * values_BT).sum()
    std = (weights_BT * (values_BT - mean) ** 2).sum().sqrt()
    lowest = torch.where(used_BT, values_BT, torch.inf).min()
    highest = torch.where(used_BT, values_BT, -torch.inf).max()
    return mean, torch.where(is_flat(lowest, highest), 0.0, std)


def centre(values_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Values minus their mean over all tokens; zero off the mask and for a batch without spread."""
    mean, std = moments(values_BT, token_mean(mask_BT))
    return torch.where(mask_BT & (std > 0), values_BT - mean, 0.0)


def whiten(values_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """z-score over all tokens of the batch: (A - mu) / sigma with the population sigma.

    Token weighted, so long answers count for more. A batch without spread gives zeros, never amplified
    rounding noise. REINFORCE++, https://arxiv.org/abs/2501.03262.
    """
    return _standardise(values_BT, mask_BT, token_mean(mask_BT))


def whiten_per_sample(values_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """As `whiten`, but each trajectory counts once in mu and sigma, whatever its length."""
    return _standardise(values_BT, mask_BT, sequence_mean_token_mean(mask_BT))


def _standardise(values_BT: Tensor, mask_BT: Tensor, weights_BT: Tensor) -> Tensor:
    mean, std = moments(values_BT, weights_BT)
    return torch.where(mask_BT & (std > 0), (values_BT - mean) / std, 0.0)


# Over the trajectories of one prompt ------------------------------------------------------------------


class _Groups(NamedTuple):
    numbers: Tensor  # one entry per group
    index_B: Tensor
    sizes: Tensor
    flat: Tensor
    residual_B: Tensor  # reward minus the group's mean, exactly 0 where the group is flat


def _group(rewards_B: Tensor, groups_B: Tensor) -> _Groups:
    numbers, index_B, sizes = torch.unique(groups_B, return_inverse=True, return_counts=True)
    empty = rewards_B.new_zeros(len(sizes))
    means = empty.index_add(0, index_B, rewards_B) / sizes
    lowest = empty.scatter_reduce(0, index_B, rewards_B, "amin", include_self=False)
    highest = empty.scatter_reduce(0, index_B, rewards_B, "amax", include_self=False)
    flat = is_flat(lowest, highest)
    residual_B = torch.where(flat[index_B], 0.0, rewards_B - means[index_B])
    return _Groups(numbers, index_B, sizes, flat, residual_B)


def no_baseline(rewards_B: Tensor, groups_B: Tensor) -> Tensor:
    """The rewards as they are."""
    return rewards_B


def group_centre(rewards_B: Tensor, groups_B: Tensor) -> Tensor:
    """R minus the mean of its group. Dr. GRPO, https://arxiv.org/abs/2503.20783."""
    return _group(rewards_B, groups_B).residual_B


def group_normalise(rewards_B: Tensor, groups_B: Tensor, *, eps: float = 1e-4) -> Tensor:
    """(R - mean) / (std + eps) within the group, with the unbiased std.

    0 for a group of one and for a group without spread. GRPO, https://arxiv.org/abs/2402.03300.
    """
    groups = _group(rewards_B, groups_B)
    squares = rewards_B.new_zeros(len(groups.sizes)).index_add(0, groups.index_B, groups.residual_B**2)
    std = (squares / (groups.sizes - 1).clamp(min=1)).sqrt()
    return groups.residual_B / (std[groups.index_B] + eps)


def leave_one_out(rewards_B: Tensor, groups_B: Tensor) -> Tensor:
    """R minus the mean of the other members of its group. RLOO, https://arxiv.org/abs/2402.14740.

    Raises ValueError where a group has one member: there is nothing to compare it with.
    """
    groups = _group(rewards_B, groups_B)
    if (groups.sizes == 1).any():
        alone = int(groups.numbers[groups.sizes == 1][0])
        raise ValueError(f"leave_one_out: group {alone} has one trajectory; drop groups smaller than 2")
    sizes_B = groups.sizes[groups.index_B]
    return groups.residual_B * sizes_B / (sizes_B - 1)


def zero_spread_share(rewards_B: Tensor, groups_B: Tensor) -> Tensor:
    """Share of the groups of two or more whose rewards are all equal; 0 without such groups."""
    groups = _group(rewards_B, groups_B)
    comparable = groups.sizes >= 2
    return (groups.flat & comparable).sum() / comparable.sum().clamp(min=1)


# Over the tokens of one trajectory --------------------------------------------------------------------


def terminal_rewards(rewards_B: Tensor, mask_BT: Tensor) -> Tensor:
    """Each trajectory's reward on the last token of its mask, 0 elsewhere."""
    remaining_BT = mask_BT.long().flip(1).cumsum(1).flip(1)
    return torch.where(mask_BT & (remaining_BT == 1), rewards_B[:, None], 0.0)


def gae(
    rewards_BT: Tensor, values_BT: Tensor, mask_BT: Tensor, *, gamma: float = 1.0, lam: float = 0.95
) -> Tensor:
    """A_t = delta_t + gamma lam A_t+1 with delta_t = r_t + gamma V_t+1 - V_t; V after the end is 0.

    t+1 is the next token of the mask: tokens that the policy did not choose are stepped over and cost
    no discount. Zero off the mask. https://arxiv.org/abs/1506.02438.
    """
    advantages_BT = torch.zeros_like(rewards_BT)
    value_B = advantage_B = rewards_BT.new_zeros(len(rewards_BT))
    for t in reversed(range(rewards_BT.shape[1])):
        delta_B = rewards_BT[:, t] + gamma * value_B - values_BT[:, t]
        advantage_B = torch.where(mask_BT[:, t], delta_B + gamma * lam * advantage_B, advantage_B)
        value_B = torch.where(mask_BT[:, t], values_BT[:, t], value_B)
        advantages_BT[:, t] = torch.where(mask_BT[:, t], advantage_B, 0.0)
    return advantages_BT


def return_to_go(rewards_BT: Tensor, mask_BT: Tensor, *, gamma: float = 1.0) -> Tensor:
    """G_t = r_t + gamma G_t+1 over the tokens of the mask: GAE with lam 1 and no critic."""
    return gae(rewards_BT, torch.zeros_like(rewards_BT), mask_BT, gamma=gamma, lam=1.0)


# Filters: (advantages_BT, the mean of the raw values over tokens) -> advantages_BT ---------------------


Filter = Callable[[Tensor, Tensor], Tensor]


def sigma_filter(sigmas: float = 3.0) -> Filter:
    """Zero where |z| > sigmas. StableReinforce, https://arxiv.org/abs/2505.02835, section 4.1."""

    def keep(z_BT: Tensor, raw_mean: Tensor) -> Tensor:
        return torch.where(z_BT.abs() > sigmas, 0.0, z_BT)

    return keep


def winsorise(sigmas: float = 3.0) -> Filter:
    """Pull |z| > sigmas back to the bound instead of deleting it."""

    def clamp(z_BT: Tensor, raw_mean: Tensor) -> Tensor:
        return z_BT.clamp(-sigmas, sigmas)

    return clamp


def released_filter(sigmas: float = 3.0, limit: float = 10.0) -> Filter:
    """For study: the rule of the code released with R1-Reward, which is not the paper's.

    Its bounds are the RAW mean +- sigmas, yet they are applied to z-scores. With rewards 2.0 and 0.5 it
    deletes every wrong answer once batch accuracy passes 0.685, where the paper's rule does so at 0.90.
    Non-finite values and |z| > limit become 0 as well.
    """

    def keep(z_BT: Tensor, raw_mean: Tensor) -> Tensor:
        outside = (z_BT < raw_mean - sigmas) | (z_BT > raw_mean + sigmas)
        return torch.where(outside | ~z_BT.isfinite() | (z_BT.abs() > limit), 0.0, z_BT)

    return keep
