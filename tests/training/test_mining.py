"""Pairs from groups, by hand."""

import random

from stablereward.training.mining import any_pairs, extremes, widest
from stablereward.types import Completion, Failure, Group, Prompt, Reward

SURE = (0.2, 0.9, 0.6, None, 0.4)
RIGHT = (1, 0, 1, 1, 0)


def group(*values: float | None) -> Group[Prompt, Completion]:
    return Group(
        prompt=Prompt.user("q"),
        trajectories=tuple(Completion(text=str(n)) for n in range(len(values))),
        rewards=tuple(
            Failure(reason="x") if value is None else Reward(value=value, parts={"right": float(right)})
            for value, right in zip(values, RIGHT, strict=False)
        ),
    )


def texts(pairs: list[Group[Prompt, Completion]]) -> list[str]:
    return ["".join(t.text for t in pair.trajectories) for pair in pairs]


def right(reward: Reward) -> bool:
    return reward.parts["right"] > 0


def test_the_best_over_the_worst() -> None:
    assert texts(extremes(group(*SURE))) == ["10"]
    assert extremes(group(0.5, 0.5)) == [] and extremes(group(None, 0.3)) == [] and extremes(group()) == []


def test_the_right_one_is_the_better_however_little_it_earned() -> None:
    # Of 0 and 2 right, 1 and 4 wrong: 0.6 - 0.4, then 0.2 - 0.4, 0.6 - 0.9, 0.2 - 0.9.
    assert texts(widest(group(*SURE), right, 9)) == ["24", "04", "21", "01"]
    assert texts(widest(group(*SURE), right, 1)) == ["24"]
    assert widest(group(0.2), right, 3) == []


def test_any_pairs_are_of_the_same_ones() -> None:
    found = {
        text for seed in range(20) for text in texts(any_pairs(group(*SURE), right, 1, random.Random(seed)))
    }
    assert found == {"24", "04", "21", "01"}
    assert len(any_pairs(group(*SURE), right, 9, random.Random(0))) == 4
