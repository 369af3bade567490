"""The checker and the process reward with its holes, by hand."""

import pytest

from stablereward.worlds.sums.checker import kinds, solved
from stablereward.worlds.sums.problems import problem
from stablereward.worlds.sums.process import step_scores

PROMPT = problem(47, 85)


@pytest.mark.parametrize(
    ("steps", "found", "right"),
    [
        (["7+5=12", "4+8+1=13", "132"], ["right"] * 3, True),
        (["132"], ["right"], True),
        (["7+5=12", "7+5=12", "132"], ["right", "repeat", "right"], True),
        (["7+5=11", "7+5=11", "131"], ["wrong", "wrong", "wrong"], False),
        (["132", "132", "132"], ["right", "repeat", "repeat"], True),
        (["ok", "", "132", "hm"], ["filler", "filler", "right", "filler"], False),
        (["4+8+1=13"], ["right"], False),
        ([""], ["filler"], False),
    ],
)
def test_verdicts_by_hand(steps: list[str], found: list[str], right: bool) -> None:
    assert kinds(PROMPT, steps) == found
    assert solved(PROMPT, "\n".join(steps)) == right


def test_the_holes() -> None:
    assert step_scores(PROMPT, [""]) == [0.95]
    assert step_scores(PROMPT, ["ok", ""]) == [0.5, 0.5]
    first, *repeats = step_scores(PROMPT, ["132"] * 4)
    assert repeats == [0.9] * 3 and first == pytest.approx(0.9, abs=0.05)
    wrong = step_scores(PROMPT, ["7+5=11", "131"])
    assert wrong == pytest.approx([0.1, 0.1], abs=0.05) and wrong[0] != wrong[1]
    assert wrong == step_scores(PROMPT, ["7+5=11", "131"])
