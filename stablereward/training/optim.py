"""The optimiser and its learning-rate schedule, as plain settings and plain functions."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import nn

from stablereward.ranges import LARGE, Decay, NotNegative, Positive, Proportion, Range, require_ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimConfig:
    """AdamW. `warmup` is a share of the updates; the rate ends at `final` times its peak.

    Gradients are clipped to `max_grad_norm`. With `max_grad_norm_ratio`, an update whose norm is above so
    many times the median of the last fifty is skipped; 20 is a careful choice. A critic's head starts from
    nothing and learns at `critic_factor` times the rate.
    """

    learning_rate: Annotated[float, Range(0, 10, above=True)] = 1e-6
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: Proportion = 0.03
    final: Proportion = 0.1
    betas: tuple[Decay, Decay] = (0.9, 0.95)
    weight_decay: NotNegative = 0.0
    max_grad_norm: Positive = 1.0
    max_grad_norm_ratio: Annotated[float, Range(1, LARGE)] | None = None
    critic_factor: Positive = 10.0

    def __post_init__(self) -> None:
        require_ranges(self)


ADAM = (0.9, 0.999)
"""The betas of Adam's paper."""


def constant(
    learning_rate: float, *, betas: tuple[float, float] = (0.9, 0.95), decay: float = 0.0
) -> OptimConfig:
    """One rate throughout."""
    return OptimConfig(
        learning_rate=learning_rate, schedule="constant", warmup=0.0, betas=betas, weight_decay=decay
    )


def adamw(
    parameters: Iterable[nn.Parameter], config: OptimConfig, *, critic: nn.Module | None = None
) -> torch.optim.AdamW:
    """AdamW over the parameters that are trained; those of a `critic` among them learn faster.

    A group's "factor" is what `fit` multiplies the schedule's rate by.
    """
    faster = set() if critic is None else set(critic.parameters())
    trained = [p for p in parameters if p.requires_grad]
    groups: list[dict[str, Any]] = [{"params": [p for p in trained if p not in faster], "factor": 1.0}]
    if faster:
        groups.append({"params": [p for p in trained if p in faster], "factor": config.critic_factor})
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, betas=config.betas, weight_decay=config.weight_decay
    )


def learning_rate(config: OptimConfig, update: int, num_updates: int) -> float:
    """The rate of update 1, 2, …, `num_updates`: a function of the number, so a resume needs no state."""
    warmup = math.ceil(config.warmup * num_updates)
    if update <= warmup:
        return config.learning_rate * update / warmup
    progress = min(1.0, (update - warmup) / max(1, num_updates - warmup))
    if config.schedule == "constant":
        shape = 1.0
    elif config.schedule == "linear":
        shape = 1.0 - progress
    else:
        shape = 0.5 * (1.0 + math.cos(math.pi * progress))
    return config.learning_rate * (config.final + (1.0 - config.final) * shape)
