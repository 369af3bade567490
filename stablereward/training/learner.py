"""What is trained, and the stage that trains it: the loop with its logs, checkpoints, protection and an
exact resume."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from torch import nn

from stablereward.errors import ConfigError, TrainingError
from stablereward.objectives.objective import Loss
from stablereward.policies.parts import grad_norms, trained_parts
from stablereward.policies.policy import Savable
from stablereward.runs.folder import RunFolder
from stablereward.runs.progress import say
from stablereward.training import checkpoint
from stablereward.training.checkpoint import Memory
from stablereward.training.fit import Mend, Update, fit
from stablereward.training.optim import OptimConfig, adamw, learning_rate
from stablereward.training.protection import Guard, Protection

Figures = Callable[[Update], Mapping[str, float]]
"""More figures of an update, for example a measurement every tenth one."""


@dataclass(frozen=True, kw_only=True)
class Learner:
    """A module and how it learns: data for `train`.

    batches: gives the batches after so many of the learner's own updates, each a sequence of micro-batches
        whose losses add up. A batch is asked for only when the update before it is made.
    memory: what the batches depend on beside the number of the update: a replay buffer, a running
        baseline, the state of an environment. Saved and restored with the weights.
    critic: a part of the module that learns `optim.critic_factor` times as fast.
    part_of: names the part that a parameter belongs to, for gradient norms by part.
    cost: what a micro-batch takes (tokens, for tokens), for the figure of speed.
    mend: gives the healthy part of an update that is not finite (see `fit.fit`).
    whole: so many updates belong together, as those of one collection: `batches` starts between them only.
    """

    name: str
    module: Savable
    batches: Callable[[int], Iterable[Sequence[Any]]]
    loss: Callable[[Any], Loss]
    num_updates: int
    optim: OptimConfig
    memory: Memory | None = None
    critic: nn.Module | None = None
    part_of: Callable[[str], str] | None = None
    cost: Callable[[Any], int] | None = None
    mend: Mend[Any] | None = None
    figures: Figures | None = None
    whole: int = 1


def train(
    run: RunFolder,
    stage: str,
    *learners: Learner,
    save_every: int,
    turns: Sequence[int] = (),
    first: Sequence[int] = (),
    progress: Callable[[Update], None] | None = None,
    protection: Protection | None = None,
) -> None:
    """Trains the learners in place, from the stage's newest checkpoint that can be read.

    The stage has one clock, which counts the updates of all learners. They take turns: `turns[i]` updates
    of learner i, one each where nothing is said; `first[i]` come before the turns, such as those that warm
    up a critic. The stage ends when the learner whose turn it is has made all of its own. `save_every`
    counts updates of the clock between checkpoints. `protection` acts on all learners, after updates that
    belong together (see `protection.Guard`). A TrainingError leaves a checkpoint of the last update
    behind, unless it is one that a collection goes on after.

    Raises ConfigError where a checkpoint would fall between updates that belong together.
    """
    guard = Guard(run, stage, protection, whole=_together(learners, save_every))
    running = [_Running(learner, guard, alone=len(learners) == 1) for learner in learners]
    saved = _Saved(run, stage, running, guard)
    order = list(in_turns([learner.num_updates for learner in learners], turns, first))
    done = start = saved.resume()
    for number, one in enumerate(running):
        one.begin(order[:start].count(number))
    clock = time.perf_counter()
    try:
        for number, turn in enumerate(order[start:], start + 1):
            one = running[turn]
            update = one.update(number)
            metrics = {**update.metrics, **guard.figures()}
            seconds = time.perf_counter() - clock
            clock = time.perf_counter()
            run.log(stage, number, metrics, seconds=seconds, tokens=one.cost, learner=one.told)
            done = number
            if progress is not None:
                progress(update)
            if guard.collapsed(done, metrics):
                saved.go_back(done)
            elif done % save_every == 0 and done < len(order):
                saved.save(done)
        guard.signal.ended(done)
    except TrainingError as error:
        if done % guard.whole == 0:
            saved.save(done)
        run.event("stopped", stage=stage, update=done + 1, reason=str(error))
        raise


def _together(learners: Sequence[Learner], save_every: int) -> int:
    """How many updates of the clock belong together."""
    if len(learners) > 1:
        if any(learner.whole > 1 for learner in learners):
            raise ValueError("learners that take turns make updates that stand alone: whole must be 1")
        return 1
    [learner] = learners
    if save_every < learner.num_updates and save_every % learner.whole:
        raise ConfigError(
            f"save_every is {save_every}; it must be a multiple of {learner.whole}, so that no checkpoint "
            "falls between updates of one collection"
        )
    return learner.whole


def in_turns(
    num_updates: Sequence[int], turns: Sequence[int] = (), first: Sequence[int] = ()
) -> Iterator[int]:
    """Whose update each one of the clock is: 0 0 0 0 1, again and again, for turns 4 and 1.

    Those of `first` come before the turns. Ends when the one whose turn it is has made all of its own. Raises
    ValueError for turns that do not fit.
    """
    each = list(turns) or [1] * len(num_updates)
    if len(each) != len(num_updates) or min(each) < 1:
        raise ValueError(f"turns are {each} for {len(num_updates)} learners; give each at least 1")
    left = list(num_updates)
    for number, count in enumerate(first):
        count = min(count, left[number])
        left[number] -= count
        yield from [number] * count
    while True:
        for number, count in enumerate(each):
            for _ in range(count):
                if left[number] == 0:
                    return
                left[number] -= 1
                yield number


class _Running:
    """A learner under way."""

    def __init__(self, learner: Learner, guard: Guard, *, alone: bool) -> None:
        self.learner, self.guard = learner, guard
        self.name, self.module, self.memory = learner.name, learner.module, learner.memory
        self.told = None if alone else learner.name
        self.optimizer = adamw(learner.module.parameters(), learner.optim, critic=learner.critic)
        self.clock = self.cost = 0

    def begin(self, start: int) -> None:
        """Goes on after so many of its own updates."""
        learner, optim = self.learner, self.learner.optim
        parts = None if learner.part_of is None else trained_parts(learner.module, learner.part_of)
        self.updates = fit(
            learner.module.parameters(),
            self._counted(islice(learner.batches(start), learner.num_updates - start)),
            learner.loss,
            optimizer=self.optimizer,
            learning_rate=lambda n: self.guard.factor * learning_rate(optim, n, learner.num_updates),
            max_grad_norm=optim.max_grad_norm,
            start=start,
            mend=learner.mend,
            accept=lambda _, norm: self.guard.accept(
                self.clock, norm, optim.max_grad_norm_ratio, learner.name
            ),
            measure=None if parts is None else lambda: grad_norms(parts),
        )
        learner.module.train()

    def update(self, clock: int) -> Update:
        """Its next update, which is number `clock` of the stage, with its figures."""
        self.clock = clock
        update = next(self.updates, None)
        if update is None:
            raise TrainingError(
                f"{self.name} has no batch for update {clock}; its batches must last for "
                f"{self.learner.num_updates} updates"
            )
        extra = {} if self.learner.figures is None else self.learner.figures(update)
        return update._replace(metrics={**update.metrics, **extra})

    def _counted(self, batches: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        for batch in batches:
            cost = self.learner.cost
            self.cost = 0 if cost is None else sum(cost(share) for share in batch)
            yield batch


class _Saved:
    """The checkpoints of a stage."""

    def __init__(self, run: RunFolder, stage: str, running: Sequence[_Running], guard: Guard) -> None:
        self.run, self.stage, self.running, self.guard = run, stage, running, guard

    def resume(self) -> int:
        """Goes back to the newest checkpoint that can be read; returns its update."""
        found, notes, wrong = checkpoint.restore_newest(self.run.path, self.stage, self.running)
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
            self.running,
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
        checkpoint.restore(good[0], self.running)
        self.guard.rolled_back(update)
        self.save(update)
