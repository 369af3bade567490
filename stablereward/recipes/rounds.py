"""Imitation in rounds: what a policy learns in each is chosen from what it wrote when the round began.

What was chosen is kept in the run folder as tokens, so that a run goes on exactly from the middle of a round.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.engines.sampler import sampler
from stablereward.errors import TrainingError
from stablereward.policies.completions import Answered, completions
from stablereward.policies.parts import part_of
from stablereward.policies.policy import Family
from stablereward.policies.token import TokenPolicy
from stablereward.rewards.reward import GroupReward, samples_of
from stablereward.runs.files import write_atomic
from stablereward.runs.folder import RunFolder
from stablereward.training.batching import passes
from stablereward.training.collect import Collected, Monitor, figures, roll_out
from stablereward.training.imitation import SFTConfig, Share, imitation_batch, imitation_loss
from stablereward.training.learner import Learner
from stablereward.training.rollouts import rollout_rows
from stablereward.types import Completion, Group, Prompt, Reward

NUM_PROMPTS_KEPT = 4

Choose = Callable[[Sequence[Answered], int], list[Answered]]
"""From the rewarded groups of a round, and its seed, to the groups that are imitated."""


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How each of `num_rounds` rounds is sampled, rewarded, chosen from and imitated.

    `sampling` draws for `prompts_per_round` prompts, which come in passes over all, each in a new order. A
    round makes `updates` updates, however much was chosen in it, so that an update's number says to which
    round it belongs.
    """

    run: RunFolder
    stage: str
    policy: TokenPolicy
    prompts: Sequence[Prompt]
    prompts_per_round: int
    sampling: Sampling
    reward: GroupReward
    choose: Choose
    num_rounds: int
    updates: int
    imitation: SFTConfig
    seed: int
    monitors: Mapping[str, Monitor]

    def learner(self) -> Learner:
        """Trains the policy, round after round."""
        family = completions(self.policy)
        return Learner(
            name="policy",
            module=self.policy,
            batches=lambda start: self.batches(family, start),
            loss=lambda share: imitation_loss(family.score, share),
            num_updates=self.num_rounds * self.updates,
            optim=self.imitation.optim,
            part_of=part_of,
            cost=lambda share: share.cost,
            figures=lambda update: self._figures(update.number),
        )

    def batches(self, family: Family[Prompt, Completion], start: int) -> Iterator[list[Share]]:
        """The batches after update `start`, each round sampled when its first batch is asked for."""
        first, done = divmod(start, self.updates)
        for number in range(first, self.num_rounds):
            if number > first or done == 0:
                self._begin(family, number)
            chosen = self._chosen(number)
            begun = done if number == first else 0
            size, order = self.imitation.batch_size, hash((self.seed, number))
            for numbers in passes(len(chosen), size, self.updates, order, begun):
                groups = [chosen[n] for n in numbers]
                yield imitation_batch(groups, family.costs, self.imitation.token_budget)

    def _figures(self, update: int) -> dict[str, float]:
        """What was measured when the round of an update began."""
        found: dict[str, float] = self._read((update - 1) // self.updates)["figures"]
        return found

    def _begin(self, family: Family[Prompt, Completion], number: int) -> None:
        """Samples and rewards, and keeps what is chosen."""
        [picked] = passes(len(self.prompts), self.prompts_per_round, number + 1, self.seed, number)
        groups = roll_out(
            [self.prompts[n] for n in picked],
            sampler(HFEngine(self.policy), self.sampling),
            self.reward,
            hash((self.seed, number)),
            num_generations=self.sampling.num_generations,
        )
        chosen = self.choose(groups, hash((self.seed, number)))
        rewards = [r.value for group in chosen for r in group.rewards if isinstance(r, Reward)]
        if not rewards:
            raise TrainingError(f"round {number + 1}: no sample has a reward; mend the cause and resume")
        found = figures(groups, family, self.monitors)
        found["reward/chosen"] = sum(rewards) / len(rewards)
        samples = [sample for group in chosen for sample in samples_of(group)]
        for name, monitor in self.monitors.items():
            found[f"chosen/{name}"] = sum(map(monitor, samples)) / len(samples)
        kept = {
            "figures": found,
            "chosen": [_row(group, self.prompts, picked) for group in chosen],
        }
        write_atomic(self._path(number), json.dumps(kept, ensure_ascii=False) + "\n")
        # To look at: the advantage of what is imitated is 1.
        taken = {id(t) for group in chosen for t in group.trajectories}
        marks = tuple(tuple(float(id(t) in taken) for t in group.trajectories) for group in groups)
        collected = Collected(groups=tuple(groups), advantages=marks, metrics=found)
        update = number * self.updates + 1
        rows = rollout_rows(update, collected, family, NUM_PROMPTS_KEPT)
        self.run.write_rollouts(self.stage, update, rows)

    def _chosen(self, number: int) -> list[Answered]:
        return [
            Group(
                prompt=self.prompts[row["prompt"]],
                trajectories=tuple(
                    Completion(text=one["text"], token_ids=tuple(one["token_ids"]), finished=one["finished"])
                    for one in row["completions"]
                ),
            )
            for row in self._read(number)["chosen"]
        ]

    def _read(self, number: int) -> Any:
        return json.loads(self._path(number).read_text(encoding="utf-8"))

    def _path(self, number: int) -> Path:
        return self.run.path / "chosen" / f"{self.stage}-{number + 1:04d}.json"


def chosen_gap(rows: Sequence[Mapping[str, float]], monitor: str) -> float:
    """By how much a monitor was higher for what was chosen than for all, over the whole run."""
    return sum(row[f"chosen/{monitor}"] - row[monitor] for row in rows) / len(rows)


def _row(group: Answered, prompts: Sequence[Prompt], picked: Sequence[int]) -> dict[str, Any]:
    number = next(n for n in picked if prompts[n] is group.prompt)
    completions = [
        {"token_ids": list(t.token_ids), "text": t.text, "finished": t.finished, "reward": r.value}
        for t, r in zip(group.trajectories, group.rewards, strict=True)
        if isinstance(r, Reward)
    ]
    return {"prompt": number, "completions": completions}
