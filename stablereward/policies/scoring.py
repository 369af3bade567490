"""Log-probability and entropy of chosen tokens; the gradient needs one matrix of the vocabulary's width."""

from typing import Any

import torch
from torch import Tensor


class ChosenLogprobs(torch.autograd.Function):
    """`apply(logits_NV, logprobs_NV, targets_N, temperature)` is (logprobs_N, entropy_N).

    `logprobs_NV` are those of the tempered logits, made without gradient. Only the first result has a
    gradient, (1[target] - p) / temperature.
    """

    @staticmethod
    def forward(
        ctx: Any, logits_NV: Tensor, logprobs_NV: Tensor, targets_N: Tensor, temperature: float
    ) -> tuple[Tensor, Tensor]:
        probabilities_NV = logprobs_NV.exp()
        logprobs_N = logprobs_NV.gather(-1, targets_N[:, None])[:, 0]
        entropy_N = -torch.linalg.vecdot(probabilities_NV, logprobs_NV)
        ctx.save_for_backward(probabilities_NV, targets_N)
        ctx.temperature, ctx.dtype = temperature or 1.0, logits_NV.dtype
        ctx.mark_non_differentiable(entropy_N)
        return logprobs_N, entropy_N

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        probabilities_NV, targets_N = ctx.saved_tensors
        weights_N1 = grads[0][:, None] / ctx.temperature
        logits_NV = (probabilities_NV * -weights_N1).scatter_add_(-1, targets_N[:, None], weights_N1)
        return logits_NV.to(ctx.dtype), None, None, None
