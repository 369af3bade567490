"""Collections of rollouts with group-shared prompts: sampled, rewarded, and cut into updates.

Every prompt is encoded once, prefilled once for its G samples and read once with gradient. What the
engine sampled is what is scored; text is never tokenised again.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from stablereward.engines.engine import Engine, Sampling, StreamingEngine
from stablereward.errors import TrainingError
from stablereward.judges.blocking import blocking
from stablereward.objectives.objective import Objective
from stablereward.policies.token import TokenPolicy
from stablereward.rewards.reward import RewardFunction, Sample, Scoring, is_async, score
from stablereward.training.batching import in_order
from stablereward.training.collection import Collection, Scorer
from stablereward.training.rl import RLConfig, Share, require_trainable
from stablereward.types import Completion, Failure, Prompt, Reward, Rollouts


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """The rollouts of one batch, their advantages by sample (None where the reward failed), and figures."""

    rollouts: tuple[Rollouts, ...]
    advantages: tuple[tuple[float | None, ...], ...]
    metrics: dict[str, float]


NO_TOKENS = Failure(
    reason="no_tokens",
    detail="the engine gave no tokens with their log-probabilities; sample with engines.hf.HFEngine",
)

Monitor = Callable[[Completion], float]
"""A figure of one completion whose mean over the batch is logged."""

_Asked = tuple[list[tuple[Completion, ...] | Failure], dict[tuple[int, int], Reward | Failure]]
"""What the engine returned, and each reward by the place of its prompt and the number of its generation."""


class Collector:
    """Makes the batches of an RL run, one collection of rollouts at a time.

    `last` is the newest `collection`, for logging. `reference` scores with the frozen starting policy
    and is only asked where the objective has a pull to it. Raises ConfigError for an objective that cannot
    be trained with these settings.
    """

    def __init__(
        self,
        policy: TokenPolicy,
        engine: Engine,
        reward: RewardFunction,
        objective: Objective,
        config: RLConfig,
        *,
        reference: Scorer | None = None,
        monitors: Mapping[str, Monitor] | None = None,
    ) -> None:
        require_trainable(objective, config)
        self.policy, self.engine, self.reward = policy, engine, reward
        self.objective, self.config, self.reference = objective, config, reference
        self.monitors = monitors or {}
        self.last: Collected | None = None
        self.collection: Collection | None = None

    def batches(self, prompts: Sequence[Prompt], seed: int, start: int = 0) -> Iterator[list[Share]]:
        """The batches of updates `start` + 1 to `num_updates`, each sampled from the policy as it then is.

        Prompts are taken in their order, again and again, so their order is the curriculum.
        `start` must lie between two collections. Raises TrainingError where too many rewards fail.
        """
        config = self.config
        first = start // config.updates_per_collection
        last = -(-config.num_updates // config.updates_per_collection)
        for number, chosen in enumerate(in_order(len(prompts), config.prompts_per_batch, last, first), first):
            sampling = Sampling(
                num_generations=config.num_generations,
                temperature=config.temperature,
                top_p=config.top_p,
                max_completion_length=config.max_completion_length,
                seed=hash((seed, number)),
            )
            picked = [prompts[n] for n in chosen]
            rollouts = self._roll_out(picked, sampling)
            greedy: list[float | None] = [None] * len(picked)
            if self.objective.greedy_answer:
                alone = replace(sampling, num_generations=1, temperature=0.0)
                answers = self._roll_out(picked, alone)
                rollouts, greedy = _against_greedy(rollouts, answers)
            self._refuse_too_many_failures(rollouts)
            self.collection = Collection(
                self.policy, self.objective, config, rollouts, greedy, self.reference
            )
            self._tell()
            yield from self.collection.updates()

    def without(self, rows: Sequence[int]) -> list[Share]:
        """See `Collection.without`; `last` then counts these samples among the failures."""
        assert self.collection is not None
        shares = self.collection.without(rows)
        self._tell()
        return shares

    def _tell(self) -> None:
        assert self.collection is not None
        rollouts = self.collection.rollouts
        self.last = Collected(
            rollouts=rollouts,
            advantages=self.collection.spread(),
            metrics={**_figures(rollouts, self.monitors), **self.collection.metrics},
        )

    def _roll_out(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Rollouts]:
        if isinstance(self.engine, StreamingEngine) and is_async(self.reward):
            outputs, rewards = self._side_by_side(self.engine, prompts, sampling)
        else:
            outputs, rewards = blocking(self._one_after_the_other(prompts, sampling))
        # A prompt without completions counts as many failures as it owed samples.
        return [
            Rollouts(prompt=p, completions=(), rewards=(o,) * sampling.num_generations)
            if isinstance(o, Failure)
            else Rollouts(
                prompt=p,
                completions=o,
                rewards=tuple(
                    rewards[place, k] if _has_tokens(one) else NO_TOKENS for k, one in enumerate(o)
                ),
            )
            for place, (p, o) in enumerate(zip(prompts, outputs, strict=True))
        ]

    def _side_by_side(self, engine: StreamingEngine, prompts: Sequence[Prompt], sampling: Sampling) -> _Asked:
        """Rewards are waited for while the engine writes. It stays in this thread, which has torch's
        thread-local state and warm memory and can be interrupted; the waiting goes to another."""
        asked: list[tuple[int, int]] = []
        with Scoring(self.reward, max_concurrency=self.config.max_concurrency) as scoring:

            def finished(place: int, number: int, completion: Completion) -> None:
                asked.append((place, number))
                scoring.ask(Sample(prompt=prompts[place], completion=completion))

            outputs = engine.stream(prompts, sampling, finished)
            return outputs, dict(zip(asked, scoring.outcomes(), strict=True))

    async def _one_after_the_other(self, prompts: Sequence[Prompt], sampling: Sampling) -> _Asked:
        outputs = await self.engine.generate(prompts, sampling)
        answered = [(place, o) for place, o in enumerate(outputs) if not isinstance(o, Failure)]
        samples = {
            (place, number): Sample(prompt=prompts[place], completion=completion)
            for place, completions in answered
            for number, completion in enumerate(completions)
        }
        rewards = await score(
            list(samples.values()), self.reward, max_concurrency=self.config.max_concurrency
        )
        return outputs, dict(zip(samples, rewards, strict=True))

    def _refuse_too_many_failures(self, rollouts: Sequence[Rollouts]) -> None:
        failures = [r for group in rollouts for r in group.rewards if isinstance(r, Failure)]
        total = sum(len(group.rewards) for group in rollouts)
        if len(failures) > self.config.max_failure_rate * total:
            reason, count = Counter(f.reason for f in failures).most_common(1)[0]
            detail = next(f.detail for f in failures if f.reason == reason)
            raise TrainingError(
                f"{len(failures)} of {total} samples have no reward ({count} {reason}: {detail}); the "
                f"limit is max_failure_rate = {self.config.max_failure_rate}. Mend the cause and resume"
            )


def _has_tokens(completion: Completion) -> bool:
    return 0 < len(completion.token_ids) == len(completion.logprobs)


def _against_greedy(
    rollouts: Sequence[Rollouts], answers: Sequence[Rollouts]
) -> tuple[list[Rollouts], list[float | None]]:
    """The greedy answers' rewards; where one failed, the prompt's samples have nothing to be held against."""
    compared: list[Rollouts] = []
    rewards: list[float | None] = []
    for group, answer in zip(rollouts, answers, strict=True):
        [reward] = answer.rewards
        failed = isinstance(reward, Failure)
        compared.append(replace(group, rewards=(reward,) * len(group.rewards)) if failed else group)
        rewards.append(None if isinstance(reward, Failure) else reward.value)
    return compared, rewards


def _figures(rollouts: Sequence[Rollouts], monitors: Mapping[str, Monitor]) -> dict[str, float]:
    completions = [c for group in rollouts for c in group.completions]
    outcomes = [r for group in rollouts for r in group.rewards]
    rewards = [r for r in outcomes if isinstance(r, Reward)]
    values = torch.tensor([r.value for r in rewards])
    figures = {"reward/mean": float(values.mean()), "reward/std": float(values.std(unbiased=False))}
    for name in sorted({name for reward in rewards for name in reward.parts}):
        present = [reward.parts[name] for reward in rewards if name in reward.parts]
        figures[f"reward/{name}"] = sum(present) / len(present)
    figures["completions/mean_length"] = sum(len(c.token_ids) for c in completions) / len(completions)
    figures["completions/clipped"] = sum(not c.finished for c in completions) / len(completions)
    for name, monitor in monitors.items():
        figures[name] = sum(map(monitor, completions)) / len(completions)
    figures["failures/count"] = float(len(outcomes) - len(rewards))
    for reason, count in sorted(Counter(r.reason for r in outcomes if isinstance(r, Failure)).items()):
        figures[f"failures/{reason}"] = float(count)
    return figures
