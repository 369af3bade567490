"""Log-probability and entropy of chosen tokens, a few rows of the vocabulary at a time.

The output layer is part of it: a [tokens, vocabulary] matrix is never made for a whole batch of a large
vocabulary, and what is made is reused while it is near.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

NEVER = -1e9
"""The logit of a token that must not be sampled: probability exactly 0, and no infinities to propagate."""
LOGITS = {"cpu": 2**19, "cuda": 2**25}
"""Logits made at once: what stays near a core, or what fills a GPU."""
KEPT = 2**24
"""Probabilities kept for the backward pass; where there would be more they are made again."""


def log_distribution(logits_NV: Tensor, temperature: float, suppressed: Sequence[int]) -> Tensor:
    """Tempered log-probabilities in float32 without the suppressed tokens. Temperature 0 tempers nothing."""
    logits_NV = logits_NV.float()
    if temperature not in (0.0, 1.0):
        logits_NV = logits_NV / temperature
    if suppressed:
        logits_NV = logits_NV.index_fill(-1, _on(logits_NV.device, tuple(suppressed)), NEVER)
    return logits_NV.log_softmax(-1)


@cache
def _on(device: torch.device, numbers: tuple[int, ...]) -> Tensor:
    """Made once: a GPU has to be waited for until a list has arrived."""
    return torch.tensor(numbers, device=device)


class ChosenLogprobs(torch.autograd.Function):
    """`apply(states_ND, weight_VD, bias_V, targets_N, temperature, suppressed)` is (logprobs_N, entropy_N).

    Only the first result has a gradient; with respect to the logits it is (1[target] - p) / temperature.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        targets_N: Tensor,
        temperature: float,
        suppressed: Sequence[int],
    ) -> tuple[Tensor, Tensor]:
        size = (len(states_ND), len(weight_VD))
        ctx.temperature, ctx.suppressed = temperature, suppressed
        kept = any(ctx.needs_input_grad) and size[0] * size[1] <= KEPT
        ctx.probabilities_NV = states_ND.new_empty(size, dtype=torch.float32) if kept else None
        logprobs_N, entropy_N = (states_ND.new_empty(size[0], dtype=torch.float32) for _ in range(2))
        for rows in _chunks(states_ND, weight_VD):
            logits = linear(states_ND[rows], weight_VD, bias_V)
            ctx.dtype = logits.dtype
            logprobs = log_distribution(logits, temperature, suppressed)
            probabilities = torch.exp(logprobs, out=ctx.probabilities_NV[rows] if kept else None)
            logprobs_N[rows] = logprobs.gather(-1, targets_N[rows, None])[:, 0]
            entropy_N[rows] = logprobs.mul_(probabilities).sum(-1).neg_()
        ctx.save_for_backward(states_ND, weight_VD, bias_V, targets_N)
        ctx.mark_non_differentiable(entropy_N)
        return logprobs_N, entropy_N

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        states_ND, weight_VD, bias_V, targets_N = ctx.saved_tensors
        of_states, of_weight, of_bias, *_ = ctx.needs_input_grad
        states_ND, weight_in = states_ND.to(ctx.dtype), weight_VD.to(ctx.dtype)
        bias_in = None if bias_V is None else bias_V.to(ctx.dtype)
        weights_N1 = grads[0][:, None] / (ctx.temperature or 1.0)
        grad_ND = torch.empty_like(states_ND) if of_states else None
        grad_VD = torch.zeros_like(weight_VD) if of_weight else None
        grad_V = torch.zeros_like(bias_V) if of_bias else None
        for rows in _chunks(states_ND, weight_VD):
            if ctx.probabilities_NV is None:
                logits = linear(states_ND[rows], weight_in, bias_in)
                probabilities = log_distribution(logits, ctx.temperature, ctx.suppressed).exp_()
            else:
                probabilities = ctx.probabilities_NV[rows]
            of_logits = probabilities * -weights_N1[rows]
            of_logits = of_logits.scatter_add_(-1, targets_N[rows, None], weights_N1[rows]).to(ctx.dtype)
            if grad_ND is not None:
                torch.mm(of_logits, weight_in, out=grad_ND[rows])
            if grad_VD is not None:
                grad_VD += of_logits.T @ states_ND[rows]
            if grad_V is not None:
                grad_V += of_logits.sum(0)
        return grad_ND, grad_VD, grad_V, None, None, None


def _chunks(states_ND: Tensor, weight_VD: Tensor) -> Iterator[slice]:
    most = LOGITS.get(states_ND.device.type, LOGITS["cuda"])
    size = max(1, most // len(weight_VD))
    for start in range(0, len(states_ND), size):
        yield slice(start, start + size)
