"""A differentiable reward as a black box: the same numbers."""

import torch

from stablereward.policies.diffusion import Path
from stablereward.rewards.differentiable import as_black_box
from stablereward.types import Group, Prompt, Reward


def test_the_numbers_are_those_of_the_pictures() -> None:
    pictures = torch.rand(3, 1, 2, 2, requires_grad=True)
    paths = tuple(Path(states_SCHW=p[None], picture_CHW=p, logprobs=()) for p in pictures)

    def level(prompts, pictures_BCHW):
        assert [prompt.text for prompt in prompts] == ["a disc"] * 3 and not torch.is_grad_enabled()
        return pictures_BCHW.mean((1, 2, 3))

    found = as_black_box(level)(Group(prompt=Prompt.user(text="a disc"), trajectories=paths))
    assert found == [Reward(value=value) for value in pictures.mean((1, 2, 3)).tolist()]
