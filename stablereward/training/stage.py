"""A training stage: the loop with its logs, checkpoints, rollouts, protection and an exact resume."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Protocol, TypeVar

import torch

from stablereward.errors import TrainingError
from stablereward.objectives.objective import Loss
from stablereward.policies.parts import grad_norms, trained_parts
from stablereward.policies.token import TokenPolicy
from stablereward.policies.tree import Group
from stablereward.training import checkpoint
from stablereward.training.fit import Mend, Update, fit
from stablereward.training.optim import OptimConfig, adamw, learning_rate
from stablereward.training.progress import say
from stablereward.training.protection import Guard, Protection
from stablereward.training.run_folder import RunFolder


class HasGroups(Protocol):
    """A micro-batch as rows of tokens."""

    @property
    def groups(self) -> Sequence[Group]: ...


Share = TypeVar("Share", bound=HasGroups)
Figures = Callable[[Update], Mapping[str, float]]
"""More figures of an update, for example a measurement every tenth one."""


def train(
    run: RunFolder,
    stage: str,
    policy: TokenPolicy,
    batches: Callable[[int], Iterable[Sequence[Share]]],
    loss_fn: Callable[[Share], Loss],
    *,
    num_updates: int,
    optim: OptimConfig,
    save_every: int,
    figures: Figures | None = None,
    progress: Callable[[Update], None] | None = None,
    protection: Protection | None = None,
    mend: Mend[Share] | None = None,
    whole: int = 1,
) -> None:
    """Trains `policy` in place for `num_updates`, from the stage's newest checkpoint that can be read.

    `batches(start)` gives the batches after update `start`. `save_every` counts updates between
    checkpoints. `whole` updates belong together; `protection` acts after these (see `protection.Guard`).
    `mend` is asked for the healthy part of an update that is not finite (see `fit.fit`). A TrainingError
    leaves a checkpoint of the last whole update behind.
    """
    optimizer = adamw(policy.parameters(), optim, critic=policy.value_head)
    guard = Guard(run, stage, protection, max_grad_norm_ratio=optim.max_grad_norm_ratio, whole=whole)
    saved = _Saved(run, stage, policy, optimizer, guard)
    done = start = saved.resume()
    counter, parts = _TokenCounter(), trained_parts(policy)
    updates = fit(
        policy.parameters(),
        counter.passing(islice(batches(start), num_updates - start)),
        loss_fn,
        optimizer=optimizer,
        learning_rate=lambda update: guard.factor * learning_rate(optim, update, num_updates),
        max_grad_norm=optim.max_grad_norm,
        start=start,
        mend=mend,
        accept=guard.accept,
        measure=lambda: grad_norms(parts),
    )
    policy.train()
    clock = time.perf_counter()
    try:
        for update in updates:
            metrics = {**update.metrics, **(figures(update) if figures else {}), **guard.figures()}
            seconds = time.perf_counter() - clock
            clock = time.perf_counter()
            run.log(stage, update.number, metrics, seconds=seconds, tokens=counter.tokens)
            done = update.number
            if progress is not None:
                progress(update)
            if guard.collapsed(done, metrics):
                saved.go_back(done)
            elif done % save_every == 0 and done < num_updates:
                saved.save(done)
        guard.signal.ended(done)
    except TrainingError as error:
        saved.save(done)
        run.event("stopped", stage=stage, update=done + 1, reason=str(error))
        raise


class _Saved:
    """The checkpoints of a stage."""

    def __init__(
        self,
        run: RunFolder,
        stage: str,
        policy: TokenPolicy,
        optimizer: torch.optim.Optimizer,
        guard: Guard,
    ) -> None:
        self.run, self.stage, self.policy = run, stage, policy
        self.optimizer, self.guard = optimizer, guard

    def resume(self) -> int:
        """Goes back to the newest checkpoint that can be read; returns its update."""
        found, notes, wrong = checkpoint.restore_newest(
            self.run.path, self.stage, self.policy, self.optimizer
        )
        start = found.update if found else 0
        self.guard.recall(notes)
        self.run.rewind(self.stage, start)
        logged = self.run.logged(self.stage)
        if logged < start:
            reason = f"updates {logged + 1} to {start} of {self.stage} have no line in metrics.jsonl"
            say(f"  {reason}")
            self.run.event("metrics_missing", stage=self.stage, update=start, reason=reason)
        for reason in wrong:
            say(f"  {reason}; resuming after update {start}")
            self.run.event("checkpoint_unreadable", stage=self.stage, update=start, reason=reason)
        if found is None and self.guard.goes_back:
            self.save(0)
        return start

    def save(self, update: int) -> None:
        self.guard.saving(update)
        checkpoint.save(
            self.run.path,
            self.stage,
            update,
            self.policy,
            self.optimizer,
            notes=self.guard.notes(),
            spare=self.guard.good,
        )

    def go_back(self, update: int) -> None:
        """Weights and moments of the good checkpoint, which is then saved as that of this update."""
        good = [c for c in checkpoint.find(self.run.path, self.stage) if c.update == self.guard.good]
        if not good:
            raise TrainingError(
                f"the good checkpoint of update {self.guard.good} of {self.stage} is gone; resume"
            )
        checkpoint.restore(good[0], self.policy, self.optimizer)
        self.guard.rolled_back(update)
        self.save(update)


class _TokenCounter:
    """The tokens of the newest batch: prompts once, completions each."""

    tokens = 0

    def passing(self, batches: Iterable[Sequence[Share]]) -> Iterator[Sequence[Share]]:
        for batch in batches:
            self.tokens = sum(group.num_tokens for share in batch for group in share.groups)
            yield batch
