"""StableReward's side: its own collector, engine, objective and loop, as a recipe composes them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from performance.work import BETAS, LEARNING_RATE, Job, fixed_rollouts, prompts_of, require_length, reward
from performance.worker import Answer, Line, Request, Stopwatch, Work, Worker, write_gradient
from stablereward.blocking import blocking
from stablereward.data.parsing import Verdict
from stablereward.data.toy.pairs import pairs
from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.judges.generative import Generative
from stablereward.objectives.named import grpo
from stablereward.policies.checkpointing import checkpoint_layers
from stablereward.policies.completions import Demonstrations
from stablereward.policies.token import TokenPolicy
from stablereward.policies.tree import EncodedGroup
from stablereward.recipes.completions import completion_collector
from stablereward.recipes.r1_reward import tiny
from stablereward.rewards.reward import Sample
from stablereward.training.fit import fit
from stablereward.training.imitation import SFTConfig, imitation_batches, imitation_loss
from stablereward.training.optim import OptimConfig, adamw
from stablereward.training.policy_gradient import RLConfig, policy_loss
from stablereward.types import Completion, Failure, Preference, Prompt, Reward

GPU_TOKEN_BUDGET, CPU_TOKEN_BUDGET = RLConfig().token_budget, tiny().rl.token_budget
"""Tokens of a micro-batch, as the recipes have them."""
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


class Ours(Worker):
    """Everything that is ready before the first step."""

    def __init__(self, job: Job) -> None:
        super().__init__(job)
        self.policy = TokenPolicy.load(job.model, device=self.device.place, dtype=torch.float32)
        self.policy.compute_dtype = self.device.number
        self.policy.stop_ids = NEVER_STOPS
        if job.checkpointing:
            checkpoint_layers(self.policy.model)
        self.policy.train()
        shape = job.shape
        self.prompts = prompts_of(shape, job.fresh * shape.prompts, job.seed)
        require_length([self.policy.encode(p).num_tokens for p in self.prompts[: shape.prompts]], shape)
        # One sample has no group to be compared with; its advantage is 0 and its cost the same.
        self.objective = replace(grpo(beta=0.0), min_group=min(2, shape.group))
        self.engine = Timed(HFEngine(self.policy), self.watch)
        self.collector = completion_collector(
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
                token_budget=GPU_TOKEN_BUDGET if self.device.like_gpu else CPU_TOKEN_BUDGET,
                optim=OPTIM,
            ),
        )
        # The first prompts were encoded above; every step is to encode its own.
        batches = self.collector.batches(self.prompts, job.seed, start=1)
        self.updates = self._updates(
            batches, partial(policy_loss, self.collector.family.score, self.objective)
        )
        self.supervised = self._updates(
            self._demonstrations(), partial(imitation_loss, self.collector.family.score)
        )

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
        made = prompts_of(shape, self.job.fresh * shape.prompts, self.job.seed + 1)
        config = SFTConfig(batch_size=shape.prompts, epochs=10**6)
        shown = Demonstrations(self.policy, [(prompt, text) for prompt in made])
        yield from imitation_batches(shown, self.collector.family.costs, config, self.job.seed)

    def step(self, request: Request) -> Work:
        """One RL step: rollouts, rewards, advantages and one update."""

        def work() -> Answer:
            next(self.updates)
            self.watch.add("update", self.watch.now() - self._since)
            return {"tokens": self.engine.tokens}

        return work

    def sft(self, request: Request) -> Work:
        """One supervised step on `shape.prompts` demonstrations."""

        def work() -> Answer:
            next(self.supervised)
            return {"tokens": self.job.shape.prompts * self.job.shape.completion}

        return work

    def gradient(self, request: Request) -> Work:
        """Writes the gradient of fixed rollouts to `request["file"]`. Nothing is left out of the softmax."""
        shape, policy = self.job.shape, self.policy
        ids, advantages = fixed_rollouts(shape, self.job.seed)
        prompts = prompts_of(shape, shape.prompts, self.job.seed)
        completions = [tuple(map(tuple, ids[n : n + shape.group])) for n in range(0, len(ids), shape.group)]
        groups = [
            EncodedGroup(prompt=policy.encode(prompt), completions=own)
            for prompt, own in zip(prompts, completions, strict=True)
        ]

        def work() -> Answer:
            kept, policy.suppressed = policy.suppressed, []
            tree = policy.tree(groups)
            logprobs_BT = policy(tree).logprobs_BT
            policy.suppressed = kept
            advantages_BT = torch.tensor(advantages, device=logprobs_BT.device)[:, None].expand_as(
                logprobs_BT
            )
            weights_BT = self.objective.reduction(tree.mask_BT)
            loss = self.objective.loss(
                logprobs_BT, logprobs_BT.detach(), advantages_BT, weights_BT, tree.mask_BT
            )
            loss.value.backward()  # type: ignore[no-untyped-call]
            return write_gradient(policy.model, request["file"])

        return work

    def judge(self, request: Request) -> Work:
        """`votes` opinions on each of `pairs` preferences: the toy's, or prompts of the shape's length."""
        policy, shape, num, seed = self.policy, self.job.shape, request["pairs"], request["seed"]
        sampling = Sampling(temperature=1.0, max_completion_length=shape.completion, seed=seed)
        judge = Generative(engine=self.engine, sampling=sampling)
        if request["toy"]:
            policy.stop_ids = [policy.tokenizer.eos_token_id]
            shown = [pair.preference() for pair in pairs(num, seed=seed, held_out=True)]
        else:
            made = prompts_of(shape, num, seed)
            shown = [Preference(question=q.text, responses=("", ""), images=q.images) for q in made]
            judge = replace(
                judge,
                prompt=lambda p: Prompt.user(text=p.question, images=p.images),
                parse=lambda text, num_responses: Verdict(choice=0),
            )

        def work() -> Answer:
            blocking(judge.opinions(shown, votes=request["votes"]))
            return {"tokens": self.engine.tokens}

        return work


def run(job: Job, line: Line) -> None:
    Ours(job).serve(line)
