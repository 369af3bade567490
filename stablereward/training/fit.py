"""The only training loop: a generator that yields after every update.

SFT, reward-model and RL training differ in the batches and the loss. Evaluation, logging and
checkpoints are ordinary statements around the loop.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import nn

from stablereward.objectives.objective import Loss

MicroBatch = TypeVar("MicroBatch")

Mend = Callable[[int, Sequence[MicroBatch]], tuple[Sequence[MicroBatch], int] | None]
"""From an update's number and its batch to what is healthy of it and how many samples were left out."""


class Update(NamedTuple):
    """One optimiser step: its number, counted from 1, and what was measured."""

    number: int
    metrics: dict[str, float]


def fit(
    parameters: Iterable[nn.Parameter],
    batches: Iterable[Sequence[MicroBatch]],
    loss_fn: Callable[[MicroBatch], Loss],
    *,
    optimizer: torch.optim.Optimizer,
    learning_rate: Callable[[int], float],
    max_grad_norm: float = 1.0,
    start: int = 0,
    mend: Mend[MicroBatch] | None = None,
    accept: Callable[[int, float], bool] | None = None,
    measure: Callable[[], Mapping[str, float]] | None = None,
) -> Iterator[Update]:
    """Makes one update for each batch, numbered from `start` + 1.

    A batch is a sequence of micro-batches whose losses and metrics add up to those of the whole
    (see `objectives.reductions`); gradients are accumulated over them. `batches` is advanced only
    after the update before it, so a batch may be sampled from the model being trained.

    An update whose loss or gradient is not finite is made again, once, from what `mend` gives, which is
    called without gradients; the samples it left out are counted as `update/dropped`. Without it, with
    None from it or where `accept` refuses an update's number and gradient norm, the update is skipped and
    counted as `update/skipped`. `measure` is asked between the last backward pass and the clipping.
    """
    trained = [p for p in parameters if p.requires_grad]

    def gradient(batch: Sequence[MicroBatch]) -> tuple[dict[str, float], bool]:
        totals = _accumulated(batch, loss_fn)
        measured = {} if measure is None else measure()
        norm = float(nn.utils.clip_grad_norm_(trained, max_grad_norm))
        return {**totals, **measured, "grad_norm": norm}, math.isfinite(norm) and math.isfinite(
            totals["loss"]
        )

    for number, batch in enumerate(batches, start + 1):
        rate = learning_rate(number)
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("factor", 1.0)
        metrics, finite = gradient(batch)
        dropped = 0
        if not finite and mend is not None:
            optimizer.zero_grad(set_to_none=True)
            mended = mend(number, batch)
            if mended is not None:
                rest, dropped = mended
                metrics, finite = gradient(rest)
        taken = finite and (accept is None or accept(number, metrics["grad_norm"]))
        if taken:
            optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        counted = {"update/skipped": float(not taken), "update/dropped": float(dropped)}
        yield Update(number, {**metrics, "learning_rate": rate, **counted})


def _accumulated(batch: Sequence[MicroBatch], loss_fn: Callable[[MicroBatch], Loss]) -> dict[str, float]:
    """Adds the batch's gradient to the parameters'; returns the loss and the metrics."""
    totals: dict[str, float] = {"loss": 0.0}
    for micro_batch in batch:
        loss = loss_fn(micro_batch)
        if loss.value.requires_grad:
            loss.value.backward()  # type: ignore[no-untyped-call]
        totals["loss"] += float(loss.value.detach())
        for name, value in loss.metrics.items():
            totals[name] = totals.get(name, 0.0) + float(value)
    return totals
