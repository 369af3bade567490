"""A collection of rewarded samples as tensors, and which rows belong to which prompt."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from stablereward.policies.token import TokenPolicy
from stablereward.policies.tree import Group
from stablereward.types import Completion, Reward, Rollouts


def valid(rollouts: Rollouts) -> list[tuple[Completion, Reward]]:
    """The samples of one prompt that have a reward."""
    pairs = zip(rollouts.completions, rollouts.rewards, strict=False)
    return [(c, r) for c, r in pairs if isinstance(r, Reward)]


def sample_name(rollouts: Sequence[Rollouts], place: tuple[int, int]) -> str:
    """A sample in words: its prompt, counted from 1 and by its preference's id, and its completion."""
    prompt, completion = place
    preference = rollouts[prompt].prompt.preference
    known = "" if preference is None or not preference.id else f" ({preference.id[:100]!r})"
    return f"prompt {prompt + 1}{known}, completion {completion + 1}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The samples of one prompt that have a reward. `greedy_reward` is that of its greedy answer.

    `finished` says of each whether it ended before the length limit.
    """

    group: Group
    rewards: tuple[float, ...]
    logprobs: tuple[tuple[float, ...], ...]
    finished: tuple[bool, ...]
    greedy_reward: float | None = None

    @classmethod
    def of(cls, policy: TokenPolicy, rollouts: Rollouts, greedy_reward: float | None = None) -> "Kept":
        samples = valid(rollouts)
        return cls(
            group=Group(
                prompt=policy.encode(rollouts.prompt), completions=tuple(c.token_ids for c, _ in samples)
            ),
            rewards=tuple(r.value for _, r in samples),
            logprobs=tuple(c.logprobs for c, _ in samples),
            finished=tuple(c.finished for c, _ in samples),
            greedy_reward=greedy_reward,
        )


class Batch:
    """The kept samples of all prompts as tensors [B, T], in the order of the prompts."""

    def __init__(self, kept: Sequence[Kept]) -> None:
        self.groups = [k.group for k in kept]
        sizes = torch.tensor([len(k.rewards) for k in kept])
        self._starts = [0, *sizes.cumsum(0).tolist()]
        self.rewards_B = torch.tensor([value for k in kept for value in k.rewards])
        self.finished_B = torch.tensor([ended for k in kept for ended in k.finished])
        self.groups_B = torch.repeat_interleave(torch.arange(len(kept)), sizes)
        greedy = [k.greedy_reward for k in kept]
        self.greedy_rewards_B = (
            None
            if None in greedy
            else torch.repeat_interleave(torch.tensor(greedy, dtype=torch.float32), sizes)
        )
        samples = [logprobs for k in kept for logprobs in k.logprobs]
        longest = max(len(logprobs) for logprobs in samples)
        self.mask_BT = torch.zeros((len(samples), longest), dtype=torch.bool)
        self.engine_logprobs_BT = torch.zeros((len(samples), longest))
        for row, logprobs in enumerate(samples):
            self.mask_BT[row, : len(logprobs)] = True
            self.engine_logprobs_BT[row, : len(logprobs)] = torch.tensor(logprobs)

    def rows(self, numbers: Sequence[int]) -> Tensor:
        """The rows of some prompts."""
        return torch.cat([torch.arange(self._starts[n], self._starts[n + 1]) for n in numbers])

    def longest(self, numbers: Sequence[int]) -> int:
        """The length of the longest sample of some prompts."""
        return int(self.mask_BT[self.rows(numbers)].sum(-1).max())

    def rows_mask(self, numbers: Sequence[int]) -> Tensor:
        """The mask [B, T] of some prompts' samples; the others are empty."""
        mask_BT = torch.zeros_like(self.mask_BT)
        rows = self.rows(numbers)
        mask_BT[rows] = self.mask_BT[rows]
        return mask_BT


def parts(num: int, num_parts: int) -> list[list[int]]:
    """0 … num - 1 cut into `num_parts` parts whose sizes differ by at most one; some may be empty."""
    cuts = [round(part * num / num_parts) for part in range(num_parts + 1)]
    return [list(range(low, high)) for low, high in pairwise(cuts)]


def spread(
    rollouts: Sequence[Rollouts], mask_BT: Tensor, values_BT: Tensor, min_group: int
) -> tuple[tuple[float | None, ...], ...]:
    """The mean of every kept sample's values, in the shape of the rollouts; None where a sample has left."""
    means = iter(((values_BT * mask_BT).sum(-1) / mask_BT.sum(-1)).tolist())
    found = []
    for group in rollouts:
        kept = len(valid(group)) >= min_group
        found.append(
            tuple(
                next(means) if kept and isinstance(reward, Reward) else None
                for _, reward in zip(group.completions, group.rewards, strict=False)
            )
        )
    return tuple(found)
