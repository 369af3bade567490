"""Learning in rounds: sample, score, select, train; what is learnt in each is chosen from what the policy did
when the round began.

What was chosen is kept in the run folder as what was done, so that a run goes on exactly from the middle of a
round.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from stablereward.errors import TrainingError
from stablereward.objectives.objective import Loss
from stablereward.policies.parts import part_of
from stablereward.recipes.pupils import Pupil
from stablereward.recipes.snapshots import Snapshots
from stablereward.rewards.reward import GroupReward, samples_of
from stablereward.runs.files import write_atomic
from stablereward.runs.folder import RunFolder
from stablereward.training.batching import passes
from stablereward.training.collect import Collected, Monitor, figures, roll_out
from stablereward.training.direct import Beta, DPOConfig, dpo_batch, dpo_loss
from stablereward.training.imitation import SFTConfig, imitation_batch, imitation_loss
from stablereward.training.learner import Learner
from stablereward.training.optim import OptimConfig
from stablereward.training.rollouts import rollout_rows
from stablereward.types import Group, Reward

NUM_PROMPTS_KEPT = 4

AnyGroup = Group[Any, Any]
Choose = Callable[[Sequence[AnyGroup], int], list[AnyGroup]]
"""From the rewarded groups of a round, and its seed, to the groups that are learnt from."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What is done with the chosen groups: `batch_size` of them make an update's micro-batches and a loss."""

    batch_size: int
    optim: OptimConfig
    batch: Callable[[Sequence[AnyGroup]], Sequence[Any]]
    loss: Callable[[Any], Loss]


def imitated(pupil: Pupil, config: SFTConfig) -> Lesson:
    """The chosen trajectories are imitated."""
    family = pupil.family
    return Lesson(
        batch_size=config.batch_size,
        optim=config.optim,
        batch=lambda groups: imitation_batch(groups, family.costs, config.token_budget),
        loss=partial(imitation_loss, family.score),
    )


def preferred(pupil: Pupil, config: DPOConfig, beta: Beta | None = None) -> Lesson:
    """The chosen groups are pairs (see `training.direct`), their reference asked when they were chosen."""
    family = pupil.family
    return Lesson(
        batch_size=config.batch_size,
        optim=config.optim,
        batch=lambda pairs: dpo_batch(pairs, family.costs, config.token_budget),
        loss=partial(dpo_loss, family.score, beta=beta or config.beta, sft=config.sft),
    )


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How each of `num_rounds` rounds is sampled, rewarded, chosen from and learnt.

    The pupil draws for `prompts_per_round` prompts, which come in passes over all, each in a new order. A
    round makes `updates` updates, however much was chosen in it, so that an update's number says to which
    round it belongs. With `snapshots` the weights that a round began with are kept.
    """

    run: RunFolder
    stage: str
    pupil: Pupil
    prompts: Sequence[Any]
    prompts_per_round: int
    reward: GroupReward
    choose: Choose
    lesson: Lesson
    num_rounds: int
    updates: int
    seed: int
    monitors: Mapping[str, Monitor] = field(default_factory=dict)
    snapshots: Snapshots | None = None

    def learner(self) -> Learner:
        """Trains the policy, round after round."""
        return Learner(
            name="policy",
            module=self.pupil.module,
            batches=self.batches,
            loss=self.lesson.loss,
            num_updates=self.num_rounds * self.updates,
            optim=self.lesson.optim,
            part_of=part_of,
            cost=lambda share: share.cost,
            figures=lambda update: self._figures(update.number),
        )

    def batches(self, start: int) -> Iterator[Sequence[Any]]:
        """The batches after update `start`, each round sampled when its first batch is asked for."""
        first, done = divmod(start, self.updates)
        for number in range(first, self.num_rounds):
            if number > first or done == 0:
                self._begin(number)
            chosen = self._chosen(number)
            begun = done if number == first else 0
            size, order = self.lesson.batch_size, hash((self.seed, number))
            for numbers in passes(len(chosen), size, self.updates, order, begun):
                yield self.lesson.batch([chosen[n] for n in numbers])

    def _figures(self, update: int) -> dict[str, float]:
        """What was measured when the round of an update began."""
        found: dict[str, float] = self._read((update - 1) // self.updates)["figures"]
        return found

    def _begin(self, number: int) -> None:
        """Samples and rewards, and keeps what is chosen."""
        if self.snapshots is not None:
            self.snapshots.take(number)
        [picked] = passes(len(self.prompts), self.prompts_per_round, number + 1, self.seed, number)
        groups = roll_out(
            [self.prompts[n] for n in picked],
            self.pupil.sample,
            self.reward,
            hash((self.seed, number)),
            num_generations=self.pupil.num_generations,
        )
        chosen = self.choose(groups, hash((self.seed, number)))
        rewards = [r.value for group in chosen for r in group.rewards if isinstance(r, Reward)]
        if not rewards:
            raise TrainingError(
                f"round {number + 1}: there is nothing to learn from, for no sample has a reward or none "
                "differs from its siblings; mend the cause and resume"
            )
        found = figures(groups, self.pupil.family, self.monitors)
        found["reward/chosen"] = sum(rewards) / len(rewards)
        for name in sorted({name for group in chosen for r in group.rewards for name in _parts(r)}):
            told = [_parts(r)[name] for group in chosen for r in group.rewards if name in _parts(r)]
            found[f"chosen/{name}"] = sum(told) / len(told)
        samples = [sample for group in chosen for sample in samples_of(group)]
        for name, monitor in self.monitors.items():
            found[f"chosen/{name}"] = sum(map(monitor, samples)) / len(samples)
        kept = {"figures": found, "chosen": [self._row(group, picked) for group in chosen]}
        write_atomic(self._path(number), json.dumps(kept, ensure_ascii=False) + "\n")
        # To look at: the advantage of what is learnt from is 1.
        taken = {id(t) for group in chosen for t in group.trajectories}
        marks = tuple(tuple(float(id(t) in taken) for t in group.trajectories) for group in groups)
        collected = Collected(groups=tuple(groups), advantages=marks, metrics=found)
        update = number * self.updates + 1
        rows = rollout_rows(update, collected, self.pupil.family, NUM_PROMPTS_KEPT)
        self.run.write_rollouts(self.stage, update, rows)

    def _row(self, group: AnyGroup, picked: Sequence[int]) -> dict[str, Any]:
        number = next(n for n in picked if self.prompts[n] is group.prompt)
        done = [
            {**self.pupil.row(t), "reward": r.value, **({"parts": dict(r.parts)} if r.parts else {})}
            for t, r in zip(group.trajectories, group.rewards, strict=True)
            if isinstance(r, Reward)
        ]
        return {"prompt": number, "completions": done}

    def _chosen(self, number: int) -> list[AnyGroup]:
        return [
            Group(
                prompt=self.prompts[row["prompt"]],
                trajectories=tuple(map(self.pupil.trajectory, row["completions"])),
                rewards=tuple(
                    Reward(value=one["reward"], parts=one.get("parts", {})) for one in row["completions"]
                ),
            )
            for row in self._read(number)["chosen"]
        ]

    def _read(self, number: int) -> Any:
        return json.loads(self._path(number).read_text(encoding="utf-8"))

    def _path(self, number: int) -> Path:
        return self.run.path / "chosen" / f"{self.stage}-{number + 1:04d}.json"


def _parts(reward: object) -> Mapping[str, float]:
    return reward.parts if isinstance(reward, Reward) else {}


def chosen_gap(rows: Sequence[Mapping[str, float]], monitor: str) -> float:
    """By how much a monitor was higher for what was chosen than for all, over the whole run."""
    return sum(row[f"chosen/{monitor}"] - row[monitor] for row in rows) / len(rows)
