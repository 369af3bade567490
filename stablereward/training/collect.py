"""Collections of rollouts with group-shared prompts: sampled, rewarded, and cut into updates.

Every prompt is encoded once, prefilled once for its G samples and read once with gradient. What the
engine sampled is what is scored; text is never tokenised again.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from stablereward.engines.engine import Engine, Sampling
from stablereward.errors import TrainingError
from stablereward.judges.blocking import blocking
from stablereward.objectives.advantages import Advantages, Signals
from stablereward.objectives.objective import Objective
from stablereward.objectives.values import explained_variance
from stablereward.policies.token import Scored, TokenPolicy
from stablereward.policies.tree import Group
from stablereward.rewards.reward import RewardFunction, Sample, score
from stablereward.training.batching import fill, in_order
from stablereward.training.rl import RLConfig, Share
from stablereward.training.samples import Batch, Kept, parts, spread, valid
from stablereward.types import Completion, Failure, Prompt, Reward, Rollouts


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """The rollouts of one batch, their advantages by sample (None where the reward failed), and figures."""

    rollouts: tuple[Rollouts, ...]
    advantages: tuple[tuple[float | None, ...], ...]
    metrics: dict[str, float]


Monitor = Callable[[Completion], float]
"""A figure of one completion whose mean over the batch is logged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scores:
    """What was computed once for a whole batch."""

    advantages: Advantages
    old: Scored | None
    reference_BT: Tensor | None


class Collector:
    """Makes the batches of an RL run, one collection of rollouts at a time.

    `last` is the newest collection, for logging. `reference` scores with the frozen starting policy
    and is only asked where the objective has a pull to it.
    """

    def __init__(
        self,
        policy: TokenPolicy,
        engine: Engine,
        reward: RewardFunction,
        objective: Objective,
        config: RLConfig,
        *,
        reference: Callable[[Sequence[Group], float], Scored] | None = None,
        monitors: Mapping[str, Monitor] | None = None,
    ) -> None:
        self.policy, self.engine, self.reward = policy, engine, reward
        self.objective, self.config, self.reference = objective, config, reference
        self.monitors = monitors or {}
        self.last: Collected | None = None

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
            rollouts = blocking(self._roll_out(picked, sampling))
            greedy: list[float | None] = [None] * len(picked)
            if self.objective.greedy_answer:
                alone = replace(sampling, num_generations=1, temperature=0.0)
                answers = blocking(self._roll_out(picked, alone))
                rollouts, greedy = _against_greedy(rollouts, answers)
            yield from self._updates(rollouts, greedy)

    async def _roll_out(self, prompts: Sequence[Prompt], sampling: Sampling) -> list[Rollouts]:
        outputs = await self.engine.generate(prompts, sampling)
        answered = [(p, o) for p, o in zip(prompts, outputs, strict=True) if not isinstance(o, Failure)]
        samples = [Sample(prompt=p, completion=c) for p, completions in answered for c in completions]
        rewards = iter(await score(samples, self.reward, max_concurrency=self.config.max_concurrency))
        # A prompt without completions counts as many failures as it owed samples.
        return [
            Rollouts(prompt=p, completions=(), rewards=(o,) * sampling.num_generations)
            if isinstance(o, Failure)
            else Rollouts(prompt=p, completions=o, rewards=tuple(next(rewards) for _ in o))
            for p, o in zip(prompts, outputs, strict=True)
        ]

    def _updates(self, rollouts: Sequence[Rollouts], greedy: Sequence[float | None]) -> Iterator[list[Share]]:
        """Advantages over everything collected; then one list of micro-batches an update."""
        self._refuse_too_many_failures(rollouts)
        kept = [
            Kept.of(self.policy, r, greedy_reward)
            for r, greedy_reward in zip(rollouts, greedy, strict=True)
            if len(valid(r)) >= self.objective.min_group
        ]
        if not kept:
            raise TrainingError(
                "no prompt of the batch has enough rewarded samples; see failures in metrics.jsonl"
            )
        batch = Batch(kept)
        scores = self._score(batch)
        figures = {name: float(value) for name, value in scores.advantages.metrics.items()}
        if scores.old is not None and scores.old.values_BT is not None:
            values_BT = scores.old.values_BT
            returns_BT = scores.advantages.raw_BT + values_BT
            figures["value/explained_variance"] = float(
                explained_variance(values_BT, returns_BT, batch.mask_BT)
            )
        self.last = Collected(
            rollouts=tuple(rollouts),
            advantages=spread(rollouts, batch.mask_BT, scores.advantages.values_BT, self.objective.min_group),
            metrics={**_figures(rollouts, self.monitors), **figures},
        )
        for _ in range(self.config.num_iterations):
            for numbers in parts(len(kept), self.config.updates_per_batch):
                yield self._shares(batch, numbers, scores) if numbers else []

    def _score(self, batch: Batch) -> _Scores:
        """Old and reference policy where something needs them, then the advantages."""
        objective = self.objective
        old = reference_BT = None
        if objective.beta > 0 or objective.critic or self.config.updates_per_collection > 1:
            old = self._score_all(batch, lambda groups, t: self.policy(self.policy.tree(groups), t))
        if objective.beta > 0 and self.reference is not None:
            reference_BT = self._score_all(batch, self.reference).logprobs_BT
        advantages = objective.advantage(
            Signals(
                rewards_B=batch.rewards_B,
                groups_B=batch.groups_B,
                mask_BT=batch.mask_BT,
                reference_log_ratio_BT=None
                if old is None or reference_BT is None
                else old.logprobs_BT - reference_BT,
                values_BT=None if old is None else old.values_BT,
                greedy_rewards_B=batch.greedy_rewards_B,
            )
        )
        return _Scores(advantages=advantages, old=old, reference_BT=reference_BT)

    def _shares(self, batch: Batch, numbers: Sequence[int], scores: _Scores) -> list[Share]:
        values_BT = scores.advantages.values_BT
        old_BT, old_values_BT = (None, None) if scores.old is None else (scores.old[0], scores.old[2])
        returns_BT = None if old_values_BT is None else scores.advantages.raw_BT + old_values_BT
        weights_BT = self.objective.reduction(batch.rows_mask(numbers))
        shares = []
        for picked in fill([batch.groups[n] for n in numbers], self.config.token_budget):
            chosen = [numbers[p] for p in picked]
            rows, length = batch.rows(chosen), batch.longest(chosen)

            def cut(tensor_BT: Tensor, rows: Tensor = rows, length: int = length) -> Tensor:
                return tensor_BT[rows, :length]

            shares.append(
                Share(
                    groups=tuple(batch.groups[n] for n in chosen),
                    rows_B=rows,
                    advantages_BT=cut(values_BT),
                    weights_BT=cut(weights_BT),
                    engine_logprobs_BT=cut(batch.engine_logprobs_BT),
                    old_logprobs_BT=None if old_BT is None else cut(old_BT),
                    reference_logprobs_BT=None if scores.reference_BT is None else cut(scores.reference_BT),
                    old_values_BT=None if old_values_BT is None else cut(old_values_BT),
                    returns_BT=None if returns_BT is None else cut(returns_BT),
                )
            )
        return shares

    @torch.no_grad()
    def _score_all(self, batch: Batch, scorer: Callable[[Sequence[Group], float], Scored]) -> Scored:
        """Every row of the batch scored in micro-batches, on the CPU."""
        whole = [torch.zeros(batch.mask_BT.shape) for _ in Scored._fields]
        found: Scored | None = None
        for chosen in fill(batch.groups, self.config.token_budget):
            found = scorer([batch.groups[n] for n in chosen], self.config.temperature)
            rows = batch.rows(chosen)
            for target_BT, part_BT in zip(whole, found, strict=True):
                if part_BT is not None:
                    target_BT[rows, : part_BT.shape[1]] = part_BT.cpu()
        assert found is not None
        return Scored(whole[0], whole[1], None if found.values_BT is None else whole[2])

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
