"""StableReward's side of reward-model training: `reward/shared`, and `reward/alone` which reads every
response with a question of its own."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from performance.work import BETAS, LEARNING_RATE, WORDS, Job, prompts_of
from performance.worker import Answer, Line, Request, Work, Worker, write_gradient
from stablereward.policies.scalar import EncodedDialogue, ScalarModel, dialogue
from stablereward.recipes.judges.base_reward import tiny
from stablereward.training.fit import fit
from stablereward.training.optim import OptimConfig, adamw
from stablereward.training.pairwise import Share, pair_batch, pair_loss
from stablereward.types import Preference

OPTIM = OptimConfig(learning_rate=LEARNING_RATE, betas=BETAS)
END_TOKENS = 2
"""Of a turn, the end token and a line's end."""


def preferences(job: Job, num: int) -> list[Preference]:
    """Questions and responses of exactly the shape's tokens, the first response the best."""
    shape, rng = job.shape, random.Random(job.seed + 1)
    ranks = tuple(range(shape.group))
    return [
        Preference(
            question=prompt.text,
            images=prompt.images,
            responses=tuple(
                "a" + "".join(rng.choices(WORDS, k=shape.completion - END_TOKENS - 1)) for _ in ranks
            ),
            ranks=ranks,
        )
        for prompt in prompts_of(shape, num, job.seed)
    ]


class Reward(Worker):
    """A model, and questions that none of its steps has seen."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.model = ScalarModel.start(job.model, device=self.device.place)
        self.model.policy.compute_dtype = self.device.number
        self.model.train()
        made = preferences(job, job.fresh * job.shape.prompts)
        self.shown = [dialogue(preference) for preference in made]
        self.scores = self._alone if job.side == "reward/alone" else self.model.measure
        self.updates = fit(
            self.model.parameters(),
            self._batches(),
            partial(pair_loss, self.scores),
            optimizer=adamw(self.model.parameters(), OPTIM),
            learning_rate=lambda update: LEARNING_RATE,
        )

    def _batches(self) -> Iterator[list[Share]]:
        size = self.job.shape.prompts
        for start in range(0, len(self.shown), size):
            yield self._shares(self.model.encoded(self.shown[start : start + size]))

    def _shares(self, groups: Sequence[EncodedDialogue]) -> list[Share]:
        costs = self.model.costs(groups)
        if self.job.side == "reward/alone":
            costs = [sum(self.model.costs(_apart([group]))) for group in groups]
        return pair_batch(groups, costs, self.job.micro_batch or tiny().reward.token_budget)

    def _alone(self, groups: Sequence[EncodedDialogue]) -> Tensor:
        return self.model.measure(_apart(groups))

    def step(self, request: Request) -> Work:
        """One update."""

        def work() -> Answer:
            return {"loss": next(self.updates).metrics["loss"]}

        return work

    def gradient(self, request: Request) -> Work:
        """Writes the gradient of the first questions to `request["file"]`; tells their loss and lengths."""
        groups = self.model.encoded(self.shown[: self.job.shape.prompts])

        def work() -> Answer:
            losses = [pair_loss(self.scores, share) for share in self._shares(groups)]
            torch.stack([loss.value for loss in losses]).sum().backward()  # type: ignore[no-untyped-call]
            lengths = {one.prompt[0].num_tokens + t.num_steps for one in groups for t in one.trajectories}
            answer: Answer = write_gradient(self.model.policy.model, request["file"])
            total = sum(float(loss.value.detach()) for loss in losses)
            return {**answer, "loss": total, "lengths": sorted(lengths)}

        return work


def _apart(groups: Sequence[EncodedDialogue]) -> list[Any]:
    """Every response as a dialogue of its own."""
    return [replace(group, trajectories=(one,), rewards=()) for group in groups for one in group.trajectories]


def run(job: Job, line: Line) -> None:
    Reward(job).serve(line)
