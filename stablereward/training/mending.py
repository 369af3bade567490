"""An update that is not finite: which sample spoils it, and the update without it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from stablereward.objectives.objective import Loss
from stablereward.policies.policy import Savable
from stablereward.runs.folder import RunFolder
from stablereward.training.collect import Collector
from stablereward.training.policy_gradient import Observed, Share
from stablereward.training.recorder import Recorder
from stablereward.training.samples import sample_name
from stablereward.types import Group

ShareLoss = Callable[..., Loss]
"""`policy_loss` with all but the micro-batch and `observe` given."""


class Mender:
    """Finds the samples that spoil an update, names them in the run's events and leaves them out.

    Called between updates, for `fit`: gives the update's micro-batches over the healthy rest, as if the
    bad samples had failed, and how many those were; None where the weights are not finite themselves,
    where no sample alone is to blame or where none is healthy. `recorder` forgets what it
    heard of an update that is made again.
    """

    def __init__(
        self,
        run: RunFolder,
        stage: str,
        policy: Savable,
        collector: Collector,
        loss_fn: ShareLoss,
        recorder: Recorder | None = None,
    ) -> None:
        self.run, self.stage, self.policy, self.collector = run, stage, policy, collector
        self.loss_fn, self.recorder = loss_fn, recorder

    def __call__(self, update: int, batch: Sequence[Share]) -> tuple[list[Share], int] | None:
        place = {"stage": self.stage, "update": update}
        weights = first_not_finite((name, p) for name, p in self.policy.named_parameters())
        if weights is not None:
            self.run.event("non_finite", **place, tensor=f"weights {weights}", action="update skipped")
            return None
        bad = self._bad(batch)
        if not bad:
            self.run.event("non_finite", **place, tensor="sum over the samples", action="update skipped")
            return None
        collection = self.collector.collection
        assert collection is not None
        # Rows are counted anew once some are left out.
        names = {row: sample_name(collection.groups, collection.places[row]) for row in bad}
        rest = self.collector.without(list(bad))
        row, tensor = next(iter(bad.items()))
        action = "update made without it" if rest else "update skipped, for no sample is healthy"
        self.run.event("non_finite", **place, sample=names[row], tensor=tensor, action=action)
        if not rest:
            return None
        if self.recorder is not None:
            self.recorder.forget()
        for name in names.values():
            self.run.event("dropped_sample", **place, sample=name)
        return rest, len(bad)

    def _bad(self, batch: Sequence[Share]) -> dict[int, str]:
        """Row and first bad tensor of each sample to blame.

        What one sample's forward pass says can spoil the advantages of all, so gradients are asked for
        only where every forward pass is healthy.
        """
        samples = [one for share in batch for one in alone(share)]
        for examined in (self._forward, self._backward):
            found = {int(one.rows_B[0]): examined(one) for one in samples}
            bad = {row: tensor for row, tensor in sorted(found.items()) if tensor is not None}
            if bad:
                return bad
        return {}

    @torch.no_grad()
    def _forward(self, share: Share) -> str | None:
        heard: list[Observed] = []
        self.loss_fn(share, observe=heard.append)
        [said] = heard
        return first_not_finite(
            (name, tensor[said.share.mask_BT])
            for name, tensor in (
                ("log-probabilities", said.logprobs_BT),
                ("entropy", said.entropy_BT),
                ("old log-probabilities", said.old_logprobs_BT),
                ("reference log-probabilities", said.share.reference_logprobs_BT),
                ("values", said.share.old_values_BT),
            )
            if tensor is not None
        )

    def _backward(self, share: Share) -> str | None:
        loss = self.loss_fn(share)
        if not loss.value.isfinite():
            return "loss"
        if loss.value.requires_grad:
            loss.value.backward()  # type: ignore[no-untyped-call]
        gradients = ((n, p.grad) for n, p in self.policy.named_parameters() if p.grad is not None)
        name = first_not_finite(gradients)
        self.policy.zero_grad(set_to_none=True)
        return None if name is None else f"gradient of {name}"


def alone(share: Share) -> Iterator[Share]:
    """The micro-batch's samples, each with its prompt as a micro-batch of one row."""
    row = 0
    for group in share.groups:
        for trajectory, reward in zip(group.trajectories, group.rewards, strict=True):
            length = int(share.mask_BT[row].sum())
            cut: dict[str, Any] = {
                name: value[row : row + 1, :length]
                for name in share.__dataclass_fields__
                if name.endswith("_BT") and isinstance(value := getattr(share, name), Tensor)
            }
            yield replace(
                share,
                groups=(Group(prompt=group.prompt, trajectories=(trajectory,), rewards=(reward,)),),
                rows_B=share.rows_B[row : row + 1],
                **cut,
            )
            row += 1


def first_not_finite(named: Iterator[tuple[str, Tensor]]) -> str | None:
    """The name of the first tensor with an entry that is not finite."""
    return next((name for name, tensor in named if not tensor.isfinite().all()), None)
