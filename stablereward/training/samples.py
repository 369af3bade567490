"""A collection of rewarded trajectories as tensors, and which rows belong to which prompt."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from stablereward.types import Failure, Group, Reward


def sample_name(groups: Sequence[Group[Any, Any]], place: tuple[int, int]) -> str:
    """A sample in words: its prompt, counted from 1 and by its preference's id, and its completion."""
    prompt, completion = place
    preference = getattr(groups[prompt].prompt, "preference", None)
    known = "" if preference is None or not preference.id else f" ({preference.id[:100]!r})"
    return f"prompt {prompt + 1}{known}, completion {completion + 1}"


class Batch:
    """The rewarded trajectories of all groups as tensors [B, T], in the order of the groups.

    `steps_BT` is there where every reward says what each step earned. `greedy` are the rewards of the
    prompts' greedy answers. A reward that is a Failure must have left its group before.
    """

    def __init__(
        self, groups: Sequence[Group[Any, Any]], greedy: Sequence[float | None] | None = None
    ) -> None:
        self.groups = tuple(groups)
        sizes = torch.tensor([len(group.rewards) for group in groups])
        self._starts = [0, *sizes.cumsum(0).tolist()]
        rewards = [reward for group in groups for reward in map(_reward, group.rewards)]
        self.rewards_B = torch.tensor([reward.value for reward in rewards])
        self.groups_B = torch.repeat_interleave(torch.arange(len(groups)), sizes)
        trajectories = [trajectory for group in groups for trajectory in group.trajectories]
        self.finished_B = torch.tensor([trajectory.finished for trajectory in trajectories])
        self.greedy_rewards_B = (
            None
            if greedy is None or None in greedy
            else torch.repeat_interleave(torch.tensor(greedy, dtype=torch.float32), sizes)
        )
        self.engine_logprobs_BT, self.mask_BT = padded([t.logprobs for t in trajectories])
        steps = [[torch.nan if s is None else s for s in reward.steps] for reward in rewards]
        self.steps_BT = padded(steps, torch.nan)[0] if all(steps) else None

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


def padded(rows: Sequence[Sequence[float]], value: float = 0.0) -> tuple[Tensor, Tensor]:
    """Rows of numbers as one tensor [B, T] with `value` behind them, and its mask."""
    longest = max(len(row) for row in rows)
    values_BT = torch.full((len(rows), longest), value)
    mask_BT = torch.zeros((len(rows), longest), dtype=torch.bool)
    for number, row in enumerate(rows):
        mask_BT[number, : len(row)] = True
        values_BT[number, : len(row)] = torch.tensor(row)
    return values_BT, mask_BT


def spread(
    groups: Sequence[Group[Any, Any]], mask_BT: Tensor, values_BT: Tensor, min_group: int
) -> tuple[tuple[float | None, ...], ...]:
    """The mean of every kept sample's values, in the shape of the groups; None where a sample has left."""
    means = iter(((values_BT * mask_BT).sum(-1) / mask_BT.sum(-1)).tolist())
    found = []
    for group in groups:
        kept = len(group.rewarded().trajectories) >= min_group
        found.append(
            tuple(
                next(means) if kept and isinstance(reward, Reward) else None
                for _, reward in zip(group.trajectories, group.rewards, strict=False)
            )
        )
    return tuple(found)


def _reward(outcome: Reward | Failure) -> Reward:
    assert isinstance(outcome, Reward)
    return outcome
