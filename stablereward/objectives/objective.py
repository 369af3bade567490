"""The composition every policy-gradient method is: advantage, ratio, surrogate, reduction, divergence."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from stablereward.objectives.advantages import Advantages, Signals
from stablereward.objectives.divergences import k3
from stablereward.objectives.ratios import Ratio
from stablereward.objectives.surrogates import Surrogate


class Loss(NamedTuple):
    """`value` is a scalar, already reduced; `metrics` are detached scalars named "namespace/name"."""

    value: Tensor
    metrics: dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Objective:
    """One method: which parts it picks, and where it was published.

    Use: `advantage` once on all that was sampled together, `reduction` once on the rows of each update
    (both over all ranks); slice their results into micro-batches; call `loss` on each and add up values
    and metrics.

    beta: strength of the pull to a reference policy; 0 needs no reference. With a `divergence` it is a
        term of the loss; without one it is part of the reward (k1, inside `advantage`).
    critic, greedy_answer: what `advantage` needs beside the rewards: `values_BT` of a value head that is
        trained along, `greedy_rewards_B` of one more answer a prompt.
    min_group: the smallest number of trajectories of one prompt that can be used; drop smaller groups.
    invariant_to: what may be added to the rewards without changing the advantages: one constant for the
        whole batch, or one per prompt (which includes the former).
    """

    name: str
    link: str
    advantage: Callable[[Signals], Advantages]
    ratio: Ratio
    surrogate: Surrogate
    reduction: Callable[[Tensor], Tensor]
    divergence: Callable[[Tensor, Tensor], Tensor] | None = None
    beta: float = 0.0
    critic: bool = False
    greedy_answer: bool = False
    min_group: int = 1
    invariant_to: Literal["nothing", "batch_constant", "prompt_constant"] = "nothing"

    @property
    def on_policy(self) -> bool:
        """Whether a batch of samples is good for one update only: no ratio in the loss corrects a second."""
        return self.surrogate.on_policy

    def loss(
        self,
        logprobs_BT: Tensor,
        old_logprobs_BT: Tensor,
        advantages_BT: Tensor,
        weights_BT: Tensor,
        mask_BT: Tensor,
        reference_logprobs_BT: Tensor | None = None,
    ) -> Loss:
        """The loss of some rows of a batch: (weights_BT * loss_BT).sum(), gradients to logprobs_BT only.

        All float32 and of one shape; advantages_BT and weights_BT are these rows of what `advantage` and
        `reduction` gave. Entries off the mask may be anything, NaN included; they change neither the loss
        nor a gradient.

        Metrics are sums weighted by weights_BT, so adding those of the micro-batches gives those of the
        update: policy/ratio_clip_low, ratio_clip_high, dual_clip (tokens a bound of the surrogate
        decided), preclip (tokens whose log-ratio was clipped before exp), approx_kl (k3 of the old policy
        from this one), kl_reference (k3 from the reference, where one is given), weight (the sum of the
        weights). Where the update's policy/weight is 1 the first four are shares of tokens and the KLs
        means; reductions that sum tokens or divide by a fixed length need a division by it.

        Raises ValueError where the KL is a term of the loss and no reference is given.
        """

        def chosen(values_BT: Tensor) -> Tensor:
            return torch.where(mask_BT, values_BT, 0.0)

        logprobs_BT, weights_BT = chosen(logprobs_BT), chosen(weights_BT)
        old_BT, advantages_BT = chosen(old_logprobs_BT.detach()), chosen(advantages_BT.detach())
        log_ratio_BT = logprobs_BT - old_BT
        ratio_BT = self.ratio(log_ratio_BT, mask_BT)
        losses_BT = self.surrogate(ratio_BT, advantages_BT, logprobs_BT)

        measured = {"policy/approx_kl": k3(old_BT, logprobs_BT), "policy/weight": mask_BT}
        if reference_logprobs_BT is not None:
            reference_BT = chosen(reference_logprobs_BT.detach())
            measured["policy/kl_reference"] = k3(logprobs_BT, reference_BT)
        if self.divergence is not None and self.beta > 0:
            if reference_logprobs_BT is None:
                raise ValueError(f"{self.name}: beta is {self.beta} but there are no reference_logprobs_BT")
            losses_BT = losses_BT + self.beta * self.divergence(logprobs_BT, reference_BT)

        clipped = self.surrogate.clipped(ratio_BT, advantages_BT)
        measured["policy/ratio_clip_low"] = clipped.low_BT
        measured["policy/ratio_clip_high"] = clipped.high_BT
        measured["policy/dual_clip"] = clipped.dual_BT
        measured["policy/preclip"] = self.ratio.clipped(log_ratio_BT, mask_BT)
        metrics = {name: (weights_BT * values_BT.detach()).sum() for name, values_BT in measured.items()}
        return Loss((weights_BT * losses_BT).sum(), metrics)
