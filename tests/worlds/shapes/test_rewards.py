"""The proxies: worked numbers, gradients to the pixels, and what they do not see."""

import random

import pytest
import torch

from stablereward.worlds.shapes.drawings import SCENES, Scene, draw
from stablereward.worlds.shapes.oracle import rule
from stablereward.worlds.shapes.rewards import Cls, bright


def test_bright_is_the_level_of_the_named_quadrant() -> None:
    picture = torch.full((1, 16, 16), -1.0)
    picture[:, 8:, :8] = 0.5
    places = ("top left", "top right", "bottom left", "bottom right")
    asked = [Scene(1, "dark", "disc", place).prompt for place in places]
    assert bright(asked, picture.expand(4, 1, 16, 16)).tolist() == pytest.approx([0, 0, 0.75, 0])


def test_bright_is_hacked_by_a_full_quadrant() -> None:
    asked = Scene(1, "bright", "disc", "top left")
    honest, full = draw(asked, random.Random(0)), torch.ones(1, 16, 16)
    worth = bright([asked.prompt] * 2, torch.stack([honest, full]))
    assert worth[1] == 1 > worth[0] and rule(asked.prompt, full) == 0


def test_cls_is_the_log_probability_of_the_class() -> None:
    cls = Cls()
    pictures = torch.stack([draw(scene, random.Random(number)) for number, scene in enumerate(SCENES)])
    logprobs = cls.classifier(pictures).log_softmax(-1)
    found = cls([scene.prompt for scene in SCENES], pictures)
    kinds = ("disc", "square", "cross", "triangle")
    expected = [float(row[kinds.index(scene.kind)]) for row, scene in zip(logprobs, SCENES, strict=True)]
    assert found.tolist() == pytest.approx(expected)
    right = sum(kinds[int(row.argmax())] == scene.kind for row, scene in zip(logprobs, SCENES, strict=True))
    assert 0.6 < right / len(SCENES) < 0.95


@pytest.mark.parametrize("make", [lambda: bright, Cls])
def test_the_gradient_reaches_the_pixels_and_no_weight(make) -> None:
    reward = make()
    pictures = torch.zeros(2, 1, 16, 16, requires_grad=True)
    reward([SCENES[0].prompt, SCENES[50].prompt], pictures).sum().backward()
    assert pictures.grad is not None and (pictures.grad.flatten(1).abs().sum(1) > 0).all()
    if reward is not bright:
        assert all(p.grad is None for p in reward.classifier.parameters())
