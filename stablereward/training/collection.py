"""One collection of rewarded samples: its advantages, and the updates it is cut into."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from stablereward.errors import TrainingError
from stablereward.objectives.advantages import Advantages, Signals, zero_spread_share
from stablereward.objectives.objective import Objective
from stablereward.objectives.values import explained_variance
from stablereward.policies.policy import Family, Score, Scored
from stablereward.training.batching import fill
from stablereward.training.policy_gradient import RLConfig, Share
from stablereward.training.samples import Batch, parts, spread
from stablereward.types import Failure, Group, Reward

NOT_FINITE = Failure(reason="not_finite", detail="the policy's numbers for the sample are not finite")


class Collection:
    """The samples of one collection that have a reward, scored once by the policy that drew them.

    `places[row]` says which prompt and which of its completions a row of the batch is. `greedy` are the
    rewards of the prompts' greedy answers. Raises TrainingError where no prompt has enough samples.
    """

    def __init__(
        self,
        family: Family[Any, Any],
        objective: Objective,
        config: RLConfig,
        groups: Sequence[Group[Any, Any]],
        greedy: Sequence[float | None],
        reference: Score | None = None,
    ) -> None:
        self.family, self.objective, self.config = family, objective, config
        self.greedy = tuple(greedy)
        self.old: Scored | None = None
        self.reference_BT: Tensor | None = None
        if not self._take(groups):
            raise TrainingError(
                "no prompt of the batch has enough rewarded samples; see failures in metrics.jsonl"
            )
        if objective.beta > 0 or objective.critic or config.updates_per_collection > 1:
            self.old = self._score_all(family.score)
        if objective.beta > 0 and reference is not None:
            self.reference_BT = self._score_all(reference).logprobs_BT
        self._weigh()

    def updates(self) -> Iterator[list[Share]]:
        """The micro-batches of each update, as the collection then is."""
        cut = parts(len(self.prompts), self.config.updates_per_batch)
        chosen = [[self.prompts[n] for n in numbers] for numbers in cut]
        for _ in range(self.config.num_iterations):
            for part in chosen:
                self.part = part
                yield self.shares()

    def without(self, rows: Sequence[int]) -> list[Share]:
        """The current update's micro-batches as if the samples of some rows had failed.

        They stay out of the later updates, too. Empty where no healthy sample is left, and then nothing
        is changed.
        """
        bad = {self.places[row] for row in rows}
        before = {place: row for row, place in enumerate(self.places)}
        groups = [
            replace(
                group,
                rewards=tuple(NOT_FINITE if (p, c) in bad else r for c, r in enumerate(group.rewards)),
            )
            for p, group in enumerate(self.groups)
        ]
        if not self._take(groups):
            return []
        rows_B = torch.tensor([before[place] for place in self.places])
        length = self.batch.mask_BT.shape[1]

        def left(tensor_BT: Tensor) -> Tensor:
            return tensor_BT[rows_B, :length]

        if self.old is not None:
            logprobs_BT, *others = self.old
            self.old = Scored(left(logprobs_BT), *(None if o is None else left(o) for o in others))
        if self.reference_BT is not None:
            self.reference_BT = left(self.reference_BT)
        self._weigh()
        return self.shares()

    def current(self) -> list[int]:
        """The prompts of the current update, and those that no update has for want of rewards."""
        kept = set(self.prompts) - set(self.part)
        return [prompt for prompt in range(len(self.groups)) if prompt not in kept]

    def spread(self) -> tuple[tuple[float | None, ...], ...]:
        """The mean advantage of each sample, in the shape of the groups; None where it has left."""
        values_BT = self.advantages.values_BT
        return spread(self.groups, self.batch.mask_BT, values_BT, self.objective.min_group)

    def shares(self) -> list[Share]:
        """The micro-batches of the current update; none where all its prompts have left."""
        numbers = [n for n, prompt in enumerate(self.prompts) if prompt in self.part]
        return self._shares(numbers) if numbers else []

    def _take(self, groups: Sequence[Group[Any, Any]]) -> bool:
        """Keeps the prompts that have enough rewarded samples; False, and no change, where there is none."""
        rewarded = [group.rewarded() for group in groups]
        prompts = [p for p, group in enumerate(rewarded) if len(group.rewards) >= self.objective.min_group]
        if not prompts:
            return False
        self.prompts, self.groups = prompts, tuple(groups)
        self.places = [
            (p, c) for p in prompts for c, r in enumerate(groups[p].rewards) if isinstance(r, Reward)
        ]
        self.batch = Batch([rewarded[p] for p in prompts], [self.greedy[p] for p in prompts])
        self.costs = self.family.costs(self.batch.groups)
        return True

    def _weigh(self) -> None:
        """The advantages of all samples, and their figures."""
        batch, old, reference_BT = self.batch, self.old, self.reference_BT
        self.advantages: Advantages = self.objective.advantage(
            Signals(
                rewards_B=batch.rewards_B,
                groups_B=batch.groups_B,
                mask_BT=batch.mask_BT,
                reference_log_ratio_BT=None
                if old is None or reference_BT is None
                else old.logprobs_BT - reference_BT,
                values_BT=None if old is None else old.values_BT,
                greedy_rewards_B=batch.greedy_rewards_B,
                steps_BT=batch.steps_BT,
            )
        )
        self.metrics = {name: float(value) for name, value in self.advantages.metrics.items()}
        # Rewards are held against those of the prompt, or of all.
        alone = self.objective.invariant_to == "prompt_constant"
        compared_B = batch.groups_B if alone else torch.zeros_like(batch.groups_B)
        self.metrics["advantages/flat"] = float(zero_spread_share(batch.rewards_B, compared_B) == 1)
        self.in_loss_B = torch.ones_like(batch.finished_B)
        if self.config.mask_truncated_completions:
            self.in_loss_B = batch.finished_B
            self.metrics["completions/masked"] = float((~batch.finished_B).float().mean())
        self.returns_BT: Tensor | None = None
        if old is not None and old.values_BT is not None:
            self.returns_BT = self.advantages.raw_BT + old.values_BT
            explained = explained_variance(old.values_BT, self.returns_BT, batch.mask_BT)
            self.metrics["value/explained_variance"] = float(explained)

    def _shares(self, numbers: Sequence[int]) -> list[Share]:
        batch = self.batch
        old_BT, old_values_BT = (None, None) if self.old is None else (self.old[0], self.old[2])
        weights_BT = self.objective.reduction(batch.rows_mask(numbers) & self.in_loss_B[:, None])
        shares = []
        for picked in fill([self.costs[n] for n in numbers], self.config.token_budget):
            chosen = [numbers[p] for p in picked]
            rows, length = batch.rows(chosen), batch.longest(chosen)

            def cut(tensor_BT: Tensor, rows: Tensor = rows, length: int = length) -> Tensor:
                return tensor_BT[rows, :length]

            def cut_any(tensor_BT: Tensor | None, cut: Callable[[Tensor], Tensor] = cut) -> Tensor | None:
                return None if tensor_BT is None else cut(tensor_BT)

            shares.append(
                Share(
                    groups=tuple(batch.groups[n] for n in chosen),
                    cost=sum(self.costs[n] for n in chosen),
                    rows_B=rows,
                    mask_BT=cut(batch.mask_BT),
                    advantages_BT=cut(self.advantages.values_BT),
                    weights_BT=cut(weights_BT),
                    engine_logprobs_BT=cut(batch.engine_logprobs_BT),
                    old_logprobs_BT=cut_any(old_BT),
                    reference_logprobs_BT=cut_any(self.reference_BT),
                    old_values_BT=cut_any(old_values_BT),
                    returns_BT=cut_any(self.returns_BT),
                )
            )
        return shares

    @torch.no_grad()
    def _score_all(self, score: Score) -> Scored:
        """Every row of the batch scored in micro-batches, on the CPU."""
        batch = self.batch
        whole = [torch.zeros(batch.mask_BT.shape) for _ in Scored._fields]
        found: Scored | None = None
        for chosen in fill(self.costs, self.config.token_budget):
            found = score([batch.groups[n] for n in chosen])
            rows = batch.rows(chosen)
            for target_BT, part_BT in zip(whole, found, strict=True):
                if part_BT is not None:
                    target_BT[rows, : part_BT.shape[1]] = part_BT.cpu()
        assert found is not None
        said = [None if part is None else target for target, part in zip(whole, found, strict=True)]
        return Scored(whole[0], *said[1:])
