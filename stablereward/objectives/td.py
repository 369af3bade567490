"""Temporal differences: what a critic of actions is taught. E rows of a batch are B, N heads, K steps."""

import torch
from torch import Tensor


def n_step(
    rewards_KB: Tensor, over_KB: Tensor, terminated_KB: Tensor, gamma: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The return of up to K steps, what a value after them is worth, and the last step taken, from 0.

    R = sum over i < k of gamma^i r_i, worth gamma^k, where k ≤ K is the first step that is over. After a step
    that terminated nothing comes, and it is worth 0; an episode that only ran out of time goes on, and its
    last state is worth gamma^k like any other. A known trap is to store time-outs as terminal: it teaches
    that late states are worth little, though nothing in them says how late it is.
    """
    steps = torch.arange(len(rewards_KB), device=rewards_KB.device)[:, None]
    before_KB = torch.cat([torch.zeros_like(over_KB[:1]), over_KB[:-1]]).cumsum(0) > 0
    returns_B = (torch.where(before_KB, 0.0, rewards_KB) * gamma**steps).sum(0)
    last_B = (~before_KB).sum(0) - 1
    terminated_B = terminated_KB.gather(0, last_B[None])[0]
    return returns_B, torch.where(terminated_B, 0.0, gamma ** (last_B + 1.0)), last_B


def td_target(returns_B: Tensor, worth_B: Tensor, values_NB: Tensor) -> Tensor:
    """y = R + worth · min over the heads of Q'(s', a'). See REDQ, https://arxiv.org/abs/2101.05982."""
    return returns_B + worth_B * values_NB.amin(0)


def smoothed(actions: Tensor, noise: Tensor, clip: float) -> Tensor:
    """TD3's actions with clipped noise, in [-1, 1]. See https://arxiv.org/abs/1802.09477."""
    return (actions + noise.clamp(-clip, clip)).clamp(-1, 1)
