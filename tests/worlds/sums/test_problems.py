"""The world of sums: workings by hand, problems apart, and a writer with habits."""

import random

import pytest

from stablereward.worlds.sums.checker import kinds, lines, solved
from stablereward.worlds.sums.problems import Habits, problem, problems, working, written

NONE = Habits(mistake=0, skips=0, guesses=0, repeats=0, filler=0, nothing=0)


@pytest.mark.parametrize(
    ("a", "b", "steps"),
    [
        (47, 85, ["7+5=12", "4+8+1=13", "132"]),
        (12, 34, ["2+4=6", "1+3=4", "46"]),
        (50, 50, ["0+0=0", "5+5=10", "100"]),
        (99, 99, ["9+9=18", "9+9+1=19", "198"]),
    ],
)
def test_workings_by_hand(a: int, b: int, steps: list[str]) -> None:
    prompt = problem(a, b)
    assert working(prompt) == steps
    assert written(prompt, random.Random(0), NONE) == "\n".join(steps)
    assert solved(prompt, "\n".join(steps)) and kinds(prompt, steps) == ["right"] * 3


def test_held_out_problems_are_others() -> None:
    train, held_out = problems(2000, seed=1), problems(400, seed=1, held_out=True)
    assert not {p.text for p in train} & {p.text for p in held_out}
    assert problems(5, seed=1) == train[:5] != problems(5, seed=2)


def test_the_writer_has_habits() -> None:
    rng = random.Random(0)
    texts = [(p, written(p, rng)) for p in problems(3000, seed=0)]
    share = {
        "solved": sum(solved(p, text) for p, text in texts) / 3000,
        "nothing": sum(text == "" for _, text in texts) / 3000,
        "direct": sum(len(lines(text)) == 1 for _, text in texts) / 3000,
        "wrong": sum("wrong" in kinds(p, lines(text)) for p, text in texts) / 3000,
    }
    assert 0.7 < share["solved"] < 0.85 and 0.005 < share["nothing"] < 0.02
    assert 0.1 < share["direct"] < 0.2 and 0.3 < share["wrong"] < 0.5
