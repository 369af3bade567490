"""StableReward's side: its own collector, engine, objective and loop, as a recipe composes them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from performance.work import (
    BETAS,
    LEARNING_RATE,
    Job,
    Question,
    fixed_rollouts,
    questions,
    require_length,
    reward,
)
from performance.worker import Answer, Line, Request, Stopwatch, measured, serve, write_gradient
from stablereward.data.parsing import Verdict
from stablereward.data.toy.pairs import pairs
from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.judges.blocking import blocking
from stablereward.judges.generative import Generative
from stablereward.objectives.named import grpo
from stablereward.policies.token import TokenPolicy
from stablereward.policies.tree import Group
from stablereward.recipes.r1_reward import tiny
from stablereward.rewards.reward import Sample
from stablereward.training.collect import Collector
from stablereward.training.fit import fit
from stablereward.training.optim import OptimConfig, adamw
from stablereward.training.rl import RLConfig, rl_loss
from stablereward.training.sft import Demonstration, SFTConfig, sft_batches, sft_loss
from stablereward.types import Completion, Failure, Preference, Prompt, Reward

TOKEN_BUDGET = {False: RLConfig().token_budget, True: tiny().rl.token_budget}
"""Tokens of a micro-batch: what the recipes use on a GPU and on a CPU."""
NEVER_STOPS = [-1]
"""No token has this id: completions run to the length limit."""
OPTIM = OptimConfig(learning_rate=LEARNING_RATE, betas=BETAS)


class Timed:
    """An engine whose time and tokens are counted."""

    def __init__(self, engine: HFEngine, watch: Stopwatch) -> None:
        self.engine, self.watch, self.tokens = engine, watch, 0

    async def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> list[tuple[Completion, ...] | Failure]:
        with self.watch.phase("rollout"):
            outputs = await self.engine.generate(prompts, sampling)
        self.tokens = sum(len(c.token_ids) for o in outputs if not isinstance(o, Failure) for c in o)
        return outputs


def _reward(sample: Sample) -> Reward:
    return Reward(value=reward(sample.completion.text))


def _prompts(made: Sequence[Question]) -> list[Prompt]:
    return [Prompt(text=q.text, images=q.images) for q in made]


class Ours:
    """Everything that is ready before the first step."""

    def __init__(self, job: Job) -> None:
        self.job, self.watch = job, Stopwatch(job.device)
        self.policy = TokenPolicy.load(job.model, device=job.device, dtype=torch.float32)
        self.policy.stop_ids = NEVER_STOPS
        if job.checkpointing:
            self.policy.model.gradient_checkpointing_enable()
        self.policy.train()
        shape = job.shape
        self.prompts = _prompts(questions(shape, job.fresh * shape.prompts, job.seed))
        require_length([self.policy.encode(p).num_tokens for p in self.prompts[: shape.prompts]], shape)
        # One sample has no group to be compared with; its advantage is 0 and its cost the same.
        self.objective = replace(grpo(beta=0.0), min_group=min(2, shape.group))
        self.engine = Timed(HFEngine(self.policy), self.watch)
        self.collector = Collector(
            self.policy,
            self.engine,
            _reward,
            self.objective,
            RLConfig(
                num_updates=10**6,
                prompts_per_batch=shape.prompts,
                num_generations=shape.group,
                updates_per_batch=1,
                max_completion_length=shape.completion,
                token_budget=TOKEN_BUDGET[job.device == "cpu"],
                optim=OPTIM,
            ),
        )
        # The first prompts were encoded above; every step is to encode its own.
        batches = self.collector.batches(self.prompts, job.seed, start=1)
        self.updates = self._updates(batches, partial(rl_loss, self.policy, self.objective))
        self.supervised = self._updates(self._demonstrations(), partial(sft_loss, self.policy))

    def _updates(self, batches: Iterator[list[Any]], loss_fn: Any) -> Iterator[Any]:
        return fit(
            self.policy.parameters(),
            self._handed_over(batches),
            loss_fn,
            optimizer=adamw(self.policy.parameters(), OPTIM),
            learning_rate=lambda update: LEARNING_RATE,
        )

    def _handed_over(self, batches: Iterator[list[Any]]) -> Iterator[list[Any]]:
        for batch in batches:
            self._since = self.watch.now()
            yield batch

    def _demonstrations(self) -> Iterator[list[Any]]:
        shape = self.job.shape
        text = "a" + " a" * (shape.completion - 2)
        made = questions(shape, self.job.fresh * shape.prompts, self.job.seed + 1)
        shown = [Demonstration(prompt=p, text=text) for p in _prompts(made)]
        config = SFTConfig(batch_size=shape.prompts, epochs=10**6)
        yield from sft_batches(self.policy, shown, config, self.job.seed)

    def step(self, request: Request) -> Answer:
        """One RL step: rollouts, rewards, advantages and one update."""

        def once() -> Answer:
            next(self.updates)
            self.watch.add("update", self.watch.now() - self._since)
            return {"tokens": self.engine.tokens}

        return measured(self.job, self.watch, request, once)

    def sft(self, request: Request) -> Answer:
        """One supervised step on `shape.prompts` demonstrations."""

        def once() -> Answer:
            next(self.supervised)
            return {"tokens": self.job.shape.prompts * self.job.shape.completion}

        return measured(self.job, self.watch, request, once)

    def gradient(self, request: Request) -> Answer:
        """Writes the gradient of fixed rollouts to `request["file"]`. Nothing is left out of the softmax."""
        shape, policy = self.job.shape, self.policy
        ids, advantages = fixed_rollouts(shape, self.job.seed)
        made = _prompts(questions(shape, shape.prompts, self.job.seed))
        groups = tuple(
            Group(
                prompt=policy.encode(prompt),
                completions=tuple(tuple(c) for c in ids[n * shape.group : (n + 1) * shape.group]),
            )
            for n, prompt in enumerate(made)
        )
        kept, policy.suppressed = policy.suppressed, []
        tree = policy.tree(groups)
        logprobs_BT = policy(tree).logprobs_BT
        advantages_BT = torch.tensor(advantages, device=logprobs_BT.device)[:, None].expand_as(logprobs_BT)
        weights_BT = self.objective.reduction(tree.mask_BT)
        loss = self.objective.loss(logprobs_BT, logprobs_BT.detach(), advantages_BT, weights_BT, tree.mask_BT)
        loss.value.backward()  # type: ignore[no-untyped-call]
        policy.suppressed = kept
        return write_gradient(policy.model, request["file"])

    def judge(self, request: Request) -> Answer:
        """`votes` opinions on each of `pairs` preferences: the toy's, or prompts of the shape's length."""
        policy, shape, num = self.policy, self.job.shape, request["pairs"]
        sampling = Sampling(temperature=1.0, max_completion_length=shape.completion, seed=request["seed"])
        judge = Generative(engine=self.engine, sampling=sampling)
        if request["toy"]:
            policy.stop_ids = [policy.tokenizer.eos_token_id]
            shown = [pair.preference() for pair in pairs(num, seed=request["seed"], held_out=True)]
        else:
            made = questions(shape, num, request["seed"])
            shown = [Preference(question=q.text, responses=("", ""), images=q.images) for q in made]
            judge = replace(
                judge,
                prompt=lambda p: Prompt(text=p.question, images=p.images),
                parse=lambda text, num_responses: Verdict(choice=0),
            )

        def once() -> Answer:
            blocking(judge.opinions(shown, votes=request["votes"]))
            return {"tokens": self.engine.tokens}

        return measured(self.job, self.watch, request, once)


def run(job: Job, line: Line) -> None:
    ours = Ours(job)
    serve(line, {"step": ours.step, "sft": ours.sft, "gradient": ours.gradient, "judge": ours.judge})
