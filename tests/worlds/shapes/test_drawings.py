"""Words and drawings of the world of shapes say the same."""

import random

import pytest
import torch

from stablereward.errors import DataError
from stablereward.types import Prompt
from stablereward.worlds.shapes.drawings import KINDS, SCENES, SIZE, cover, draw, scene_of


def test_every_scene_has_its_own_words() -> None:
    assert len(SCENES) == len({scene.prompt.text for scene in SCENES}) == 96
    assert all(scene_of(scene.prompt) == scene for scene in SCENES)


def test_other_words_are_refused() -> None:
    with pytest.raises(DataError, match="no drawing of shapes"):
        scene_of(Prompt.user(text="a cat"))


def test_a_drawing_is_a_function_of_the_seed() -> None:
    first, again = (draw(SCENES[5], random.Random(1)) for _ in range(2))
    assert first.shape == (1, SIZE, SIZE) and torch.equal(first, again)
    assert first.min() == -1 and first.max() <= 1


def test_a_disc_covers_its_area_around_its_centre() -> None:
    disc = cover("disc", torch.tensor([[7.0, 8.0]]), 3.0)[0]
    assert float(disc.sum()) == pytest.approx(torch.pi * 9, rel=0.02)
    assert disc[7, 8] == 1 and torch.equal(disc[:, 1:], disc[:, 1:].flip(1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_shape_has_its_centre_of_gravity_near_its_centre(kind: str) -> None:
    ink = cover(kind, torch.tensor([[7.3, 8.1]]), 2.7)[0]
    grid = torch.arange(SIZE, dtype=torch.float32)
    assert float((ink.sum(1) * grid).sum() / ink.sum()) == pytest.approx(7.3, abs=0.3)
    assert float((ink.sum(0) * grid).sum() / ink.sum()) == pytest.approx(8.1, abs=0.05)
