"""Collections of rewarded trajectories: sampled, rewarded, and cut into updates.

What a step is (a token, a denoising step, an action) only the policy's family knows. What was sampled is
what is scored; nothing is made again in between.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from stablereward.blocking import blocking
from stablereward.errors import TrainingError
from stablereward.objectives.objective import Objective
from stablereward.policies.policy import Family, Sampler, Score, StreamingSampler
from stablereward.rewards.reward import (
    Each,
    GroupReward,
    RewardFunction,
    SampleOf,
    Scoring,
    is_async,
    samples_of,
    score_groups,
)
from stablereward.training.batching import in_order
from stablereward.training.collection import Collection
from stablereward.training.policy_gradient import RLConfig, Share, require_trainable
from stablereward.types import Failure, Group, Reward

Groups = list[Group[Any, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """The groups of one batch, their advantages by sample (None where the reward failed), and figures."""

    groups: tuple[Group[Any, Any], ...]
    advantages: tuple[tuple[float | None, ...], ...]
    metrics: dict[str, float]


NO_STEPS = Failure(
    reason="no_tokens",
    detail="the sampler gave no steps with their log-probabilities; sample with engines.hf.HFEngine",
)

Monitor = Callable[[SampleOf[Any, Any]], float]
"""A figure of one sample whose mean over the batch is logged: a gold reward beside the one that is
trained on, for example. It never reaches an update."""


def roll_out(
    prompts: Sequence[Any],
    sample: Sampler,
    reward: GroupReward,
    seed: int,
    *,
    num_generations: int,
    max_concurrency: int = 32,
) -> Groups:
    """Samples and rewards; a prompt that cannot be answered has no trajectories, and as many failures as
    it owed samples.

    An async reward of single samples is asked while others are still sampled, where the sampler streams.
    """
    if isinstance(sample, StreamingSampler) and isinstance(reward, Each) and is_async(reward.reward):
        return _side_by_side(prompts, sample, reward.reward, seed, num_generations, max_concurrency)
    groups = _groups(prompts, sample(prompts, seed), num_generations)
    rewards = blocking(score_groups(groups, reward, max_concurrency=max_concurrency))
    return [_rewarded(group, own) for group, own in zip(groups, rewards, strict=True)]


def _side_by_side(
    prompts: Sequence[Any],
    sample: StreamingSampler,
    reward: RewardFunction,
    seed: int,
    num_generations: int,
    max_concurrency: int,
) -> Groups:
    """Rewards are waited for while the policy samples. It stays in this thread, which has torch's
    thread-local state and warm memory and can be interrupted; the waiting goes to another."""
    asked: list[tuple[int, int]] = []
    with Scoring(reward, max_concurrency=max_concurrency) as scoring:

        def finished(place: int, number: int, trajectory: Any) -> None:
            asked.append((place, number))
            scoring.ask(SampleOf(prompt=prompts[place], completion=trajectory))

        groups = _groups(prompts, sample.stream(prompts, seed, finished), num_generations)
        rewards = dict(zip(asked, scoring.outcomes(), strict=True))
    return [
        _rewarded(group, [rewards[place, k] for k in range(len(group.trajectories))])
        for place, group in enumerate(groups)
    ]


def _rewarded(group: Group[Any, Any], rewards: Sequence[Reward | Failure]) -> Group[Any, Any]:
    """The group with its rewards. What has no steps with their log-probabilities cannot be learnt from."""
    if not group.trajectories:
        return group
    learnable = (0 < t.num_steps == len(t.logprobs) for t in group.trajectories)
    return replace(
        group, rewards=tuple(r if fine else NO_STEPS for r, fine in zip(rewards, learnable, strict=True))
    )


def _groups(
    prompts: Sequence[Any], outputs: Sequence[tuple[Any, ...] | Failure], num_generations: int
) -> Groups:
    return [
        Group(prompt=p, trajectories=(), rewards=(o,) * num_generations)
        if isinstance(o, Failure)
        else Group(prompt=p, trajectories=o)
        for p, o in zip(prompts, outputs, strict=True)
    ]


class Collector:
    """Makes the batches of an RL run, one collection of trajectories at a time.

    `last` is the newest `collection`, for logging. `reference` scores with the frozen starting policy
    and is only asked where the objective has a pull to it; `greedy` draws the one likeliest trajectory
    of a prompt, where the objective compares with it. Raises ConfigError for an objective that cannot be
    trained with these settings.
    """

    def __init__(
        self,
        sample: Sampler,
        family: Family[Any, Any],
        reward: GroupReward,
        objective: Objective,
        config: RLConfig,
        *,
        reference: Score | None = None,
        greedy: Sampler | None = None,
        monitors: Mapping[str, Monitor] | None = None,
    ) -> None:
        require_trainable(objective, config)
        self.sample, self.family, self.reward = sample, family, reward
        self.objective, self.config, self.reference = objective, config, reference
        self.greedy, self.monitors = greedy, monitors or {}
        self.last: Collected | None = None
        self.collection: Collection | None = None

    def batches(self, prompts: Sequence[Any], seed: int, start: int = 0) -> Iterator[list[Share]]:
        """The batches of updates `start` + 1 to `num_updates`, each sampled from the policy as it then is.

        Prompts are taken in their order, again and again, so their order is the curriculum.
        `start` must lie between two collections. Raises TrainingError where too many rewards fail.
        """
        config = self.config
        first = start // config.updates_per_collection
        last = -(-config.num_updates // config.updates_per_collection)
        for number, chosen in enumerate(in_order(len(prompts), config.prompts_per_batch, last, first), first):
            picked, drawn = [prompts[n] for n in chosen], hash((seed, number))
            groups = self._roll_out(self.sample, picked, drawn, config.num_generations)
            greedy: list[float | None] = [None] * len(picked)
            if self.objective.greedy_answer:
                if self.greedy is None:
                    raise ValueError(f"{self.objective.name} compares with a greedy answer; give `greedy`")
                groups, greedy = _against_greedy(groups, self._roll_out(self.greedy, picked, drawn, 1))
            self._refuse_too_many_failures(groups)
            self.collection = Collection(self.family, self.objective, config, groups, greedy, self.reference)
            self._tell()
            yield from self.collection.updates()

    def without(self, rows: Sequence[int]) -> list[Share]:
        """See `Collection.without`; `last` then counts these samples among the failures."""
        assert self.collection is not None
        shares = self.collection.without(rows)
        self._tell()
        return shares

    def _roll_out(self, sample: Sampler, prompts: Sequence[Any], seed: int, num_generations: int) -> Groups:
        return roll_out(
            prompts,
            sample,
            self.reward,
            seed,
            num_generations=num_generations,
            max_concurrency=self.config.max_concurrency,
        )

    def _tell(self) -> None:
        assert self.collection is not None
        groups = self.collection.groups
        self.last = Collected(
            groups=groups,
            advantages=self.collection.spread(),
            metrics={**figures(groups, self.family, self.monitors), **self.collection.metrics},
        )

    def _refuse_too_many_failures(self, groups: Sequence[Group[Any, Any]]) -> None:
        failures = [r for group in groups for r in group.rewards if isinstance(r, Failure)]
        total = sum(len(group.rewards) for group in groups)
        if len(failures) > self.config.max_failure_rate * total:
            reason, count = Counter(f.reason for f in failures).most_common(1)[0]
            detail = next(f.detail for f in failures if f.reason == reason)
            raise TrainingError(
                f"{len(failures)} of {total} samples have no reward ({count} {reason}: {detail}); the "
                f"limit is max_failure_rate = {self.config.max_failure_rate}. Mend the cause and resume"
            )


def _against_greedy(groups: Groups, answers: Groups) -> tuple[Groups, list[float | None]]:
    """The greedy answers' rewards; where one failed, the prompt's samples have nothing to be held against."""
    compared: Groups = []
    rewards: list[float | None] = []
    for group, answer in zip(groups, answers, strict=True):
        [reward] = answer.rewards
        failed = isinstance(reward, Failure)
        compared.append(replace(group, rewards=(reward,) * len(group.rewards)) if failed else group)
        rewards.append(None if isinstance(reward, Failure) else reward.value)
    return compared, rewards


def figures(
    groups: Sequence[Group[Any, Any]],
    family: Family[Any, Any],
    monitors: Mapping[str, Monitor] | None = None,
) -> dict[str, float]:
    """Means over the samples of a batch: rewards and their parts, what the family and the monitors say of
    each, and how many failed for which reason."""
    samples = [sample for group in groups for sample in samples_of(group)]
    outcomes = [r for group in groups for r in group.rewards]
    rewards = [r for r in outcomes if isinstance(r, Reward)]
    values = torch.tensor([r.value for r in rewards])
    found = {"reward/mean": float(values.mean()), "reward/std": float(values.std(unbiased=False))}
    for name in sorted({name for reward in rewards for name in reward.parts}):
        present = [reward.parts[name] for reward in rewards if name in reward.parts]
        found[f"reward/{name}"] = sum(present) / len(present)
    described = [family.describe(sample.completion) for sample in samples]
    for name in described[0]:
        found[name] = sum(one[name] for one in described) / len(described)
    for name, monitor in (monitors or {}).items():
        found[name] = sum(map(monitor, samples)) / len(samples)
    found["failures/count"] = float(len(outcomes) - len(rewards))
    for reason, count in sorted(Counter(r.reason for r in outcomes if isinstance(r, Failure)).items()):
        found[f"failures/{reason}"] = float(count)
    return found
