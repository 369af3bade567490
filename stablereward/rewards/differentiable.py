"""Rewards that pictures have a gradient to, and the same rewards as a black box.

They are a type of their own: what is asked over HTTP or counted by rule has no gradient.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from stablereward.policies.diffusion import Path
from stablereward.rewards.reward import GroupReward
from stablereward.types import Group, Prompt, Reward

DifferentiableReward = Callable[[Sequence[Prompt], Tensor], Tensor]
"""(prompts, pictures_BCHW in [-1, 1]) -> rewards_B, with a gradient to the pictures."""


def as_black_box(reward: DifferentiableReward) -> GroupReward:
    """The numbers alone, of a group's pictures at once."""

    def score(group: Group[Prompt, Path]) -> list[Reward]:
        pictures = torch.stack([path.picture_CHW for path in group.trajectories])
        with torch.no_grad():
            values = reward([group.prompt] * len(pictures), pictures)
        return [Reward(value=value) for value in values.tolist()]

    return score
