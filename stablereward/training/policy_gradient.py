"""The update of reinforcement learning: settings, micro-batches and their loss."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor

from stablereward.config import NoResult
from stablereward.engines.engine import Sampling
from stablereward.errors import ConfigError
from stablereward.objectives.objective import Loss, Objective
from stablereward.objectives.values import value_loss
from stablereward.policies.policy import Score
from stablereward.ranges import Count, NotNegative, Proportion, Range, Size, require_ranges
from stablereward.training.optim import OptimConfig
from stablereward.types import Group


@dataclass(frozen=True, slots=True, kw_only=True)
class RLConfig:
    """The paper's batch: 256 rollouts, updates of 128; its code draws one sample a prompt, we draw G.

    `prompts_per_batch` × `num_generations` samples make a batch, cut into `updates_per_batch` updates,
    and all of them `num_iterations` times. A run stops when more than `max_failure_rate` of a batch's
    samples have no reward. `value_coefficient` weighs a critic's loss, where the objective has one.

    What is sampled is scored: at `temperature` by sampler and trainer alike, and with `top_p` 1 only.
    With `mask_truncated_completions` a completion that the length limit cut has no part in the loss, while
    its reward stays in the mean and deviation that the others are held against, as in TRL 1.16. There a mean
    over sequences still counts it (as 0) in its denominator; here the mean is that of the others.

    Raises ConfigError for a value that cannot be trained with.
    """

    num_updates: Count = 375
    prompts_per_batch: Size = 32
    num_generations: Size = 8
    updates_per_batch: Count = 2
    num_iterations: Count = 1
    temperature: Annotated[float, Range(1e-3, 100)] = 1.0
    top_p: Annotated[float, Range(0, 1, above=True)] = 1.0
    max_completion_length: Size = 1024
    max_failure_rate: Proportion = 0.2
    max_concurrency: Annotated[Count, NoResult] = 32
    token_budget: Count = 16_384
    value_coefficient: NotNegative = 0.5
    mask_truncated_completions: bool = False
    optim: OptimConfig = field(default_factory=OptimConfig)

    def __post_init__(self) -> None:
        require_ranges(self)
        if self.top_p != 1.0:
            raise ConfigError(
                f"top_p is {self.top_p}; in training it must be 1: tokens drawn from a part of the "
                "distribution and scored in the whole of it bias the gradient"
            )

    @property
    def updates_per_collection(self) -> int:
        """Updates between two collections of rollouts."""
        return self.updates_per_batch * self.num_iterations

    def sampling(self) -> Sampling:
        """How an engine draws the samples of a batch."""
        return Sampling(
            num_generations=self.num_generations,
            temperature=self.temperature,
            top_p=self.top_p,
            max_completion_length=self.max_completion_length,
        )


def require_trainable(objective: Objective, config: RLConfig) -> None:
    """Raises ConfigError where the objective's gradient would be wrong, or nothing, with these settings."""
    if objective.on_policy and config.updates_per_collection > 1:
        raise ConfigError(
            f"{objective.name} does not correct for a policy that has moved since it sampled: "
            f"updates_per_batch × num_iterations must be 1, not {config.updates_per_collection}"
        )
    if config.num_generations < objective.min_group:
        raise ConfigError(
            f"{objective.name} compares the samples of a prompt: num_generations must be at least "
            f"{objective.min_group}, not {config.num_generations}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A micro-batch: whole groups, and their slices of what was computed once for the whole batch.

    `rows_B` are its rows' numbers in the batch, `cost` what it takes of the budget. Returns and old values
    are there with a critic only.
    """

    groups: tuple[Group[Any, Any], ...]
    cost: int
    rows_B: Tensor
    mask_BT: Tensor
    advantages_BT: Tensor
    weights_BT: Tensor
    engine_logprobs_BT: Tensor
    old_logprobs_BT: Tensor | None = None
    reference_logprobs_BT: Tensor | None = None
    old_values_BT: Tensor | None = None
    returns_BT: Tensor | None = None

    def to(self, device: torch.device) -> "Share":
        """The same tensors on another device."""
        moved: dict[str, Any] = {
            name: value.to(device)
            for name in self.__dataclass_fields__
            if isinstance(value := getattr(self, name), Tensor)
        }
        return replace(self, **moved)


class Observed(NamedTuple):
    """What a micro-batch's forward pass said of its steps, all [B, T] and detached."""

    share: Share
    logprobs_BT: Tensor
    old_logprobs_BT: Tensor
    entropy_BT: Tensor | None


def policy_loss(
    score: Score,
    objective: Objective,
    share: Share,
    *,
    value_coefficient: float = 0.5,
    observe: Callable[[Observed], None] | None = None,
) -> Loss:
    """The objective on one micro-batch, with the policy's entropy and its distances from old and engine.

    With one update a batch the old policy is the current one, so its log-probabilities are the detached
    current ones and need no forward of their own. With a critic its loss is added, `value_coefficient`
    times. `observe` is told what the forward pass said.
    """
    scored = score(share.groups)
    share = share.to(scored.logprobs_BT.device)
    current_BT = scored.logprobs_BT.detach()
    old_BT = current_BT if share.old_logprobs_BT is None else share.old_logprobs_BT
    weights_BT, mask_BT = share.weights_BT, share.mask_BT
    loss = objective.loss(
        scored.logprobs_BT, old_BT, share.advantages_BT, weights_BT, mask_BT, share.reference_logprobs_BT
    )
    figures = {
        "policy/kl_k1": (weights_BT * (old_BT - current_BT)).sum(),
        "policy/engine_gap": (weights_BT * (current_BT - share.engine_logprobs_BT).abs()).sum(),
    }
    if scored.entropy_BT is not None:
        figures["policy/entropy"] = (weights_BT * scored.entropy_BT).sum()
    value = loss.value
    if share.returns_BT is not None and share.old_values_BT is not None and scored.values_BT is not None:
        critic = value_loss(scored.values_BT, share.old_values_BT, share.returns_BT, weights_BT, mask_BT)
        value = value + value_coefficient * critic.value
        figures |= {"value/loss": critic.value.detach(), **critic.metrics}
    if observe is not None:
        observe(Observed(share, current_BT, old_BT, scored.entropy_BT))
    return Loss(value, {**loss.metrics, **figures})
