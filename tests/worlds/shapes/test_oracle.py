"""The oracle reads what was drawn, and nothing else passes for it."""

import random

import pytest
import torch

from stablereward.worlds.shapes.drawings import SCENES, Scene, draw
from stablereward.worlds.shapes.oracle import diversity, figures, rule, see


def test_it_reads_every_clean_drawing() -> None:
    rng = random.Random(0)
    assert all(rule(scene.prompt, draw(scene, rng)) == 1 for scene in SCENES for _ in range(3))


@pytest.mark.parametrize(
    "other",
    [
        Scene(1, "bright", "disc", "top left"),
        Scene(2, "bright", "square", "top left"),
        Scene(2, "bright", "disc", "top right"),
    ],
)
def test_class_count_and_quadrant_all_count(other: Scene) -> None:
    asked = Scene(2, "bright", "disc", "top left")
    assert rule(asked.prompt, draw(other, random.Random(0))) == 0


def test_the_level_does_not_count() -> None:
    asked, drawn = Scene(2, "bright", "disc", "top left"), Scene(2, "dark", "disc", "top left")
    assert rule(asked.prompt, draw(drawn, random.Random(0))) == 1


@pytest.mark.parametrize("level", [-1.0, 0.0, 1.0])
def test_a_flat_picture_shows_no_class(level: float) -> None:
    assert set(see(torch.full((1, 16, 16), level)).kinds) <= {""}


def test_a_full_quadrant_is_no_square_of_this_world() -> None:
    picture = torch.full((1, 16, 16), -1.0)
    picture[:, :8, :8] = 1
    assert rule(Scene(1, "bright", "square", "top left").prompt, picture) == 0


def test_diversity_is_the_root_mean_square_between_two() -> None:
    black, white = torch.full((1, 2, 2), -1.0), torch.full((1, 2, 2), 1.0)
    assert diversity(torch.stack([black, white])) == pytest.approx(2)
    assert diversity(torch.stack([black, black, white])) == pytest.approx(4 / 3)
    assert diversity(black[None]) == diversity(torch.stack([black, black])) == 0


def test_figures_pair_pictures_of_one_prompt() -> None:
    one, two = SCENES[0].prompt, SCENES[50].prompt
    pictures = [
        draw(SCENES[0], random.Random(0)),
        torch.full((1, 16, 16), -1.0),
        draw(SCENES[50], random.Random(0)),
    ]
    found = figures([one, one, two], pictures)
    assert found["rule"] == pytest.approx(2 / 3)
    assert found["diversity"] == pytest.approx(diversity(torch.stack(pictures[:2])))
    assert "diversity" not in figures([two], pictures[2:])
