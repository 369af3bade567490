"""Judging by scores."""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from PIL import Image

from stablereward.judges.judge import Judge
from stablereward.judges.scalar import Scalar, opinion, probabilities
from stablereward.types import Failure, Judgement, Message, Preference, ToolCall


class Lengths:
    """Scores a response by its letters, and remembers what it was asked."""

    tokens_read = 0

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def scores(self, preferences: Sequence[Preference]) -> list[tuple[float | Failure, ...]]:
        self.asked += [(p.question, text) for p in preferences for text in p.responses]
        return [
            tuple(float(len(text)) if text else Failure(reason="too_long") for text in p.responses)
            for p in preferences
        ]


PAIR = Preference(question="Which?", responses=("aaa", "a"))
TRIPLE = Preference(question="Which?", responses=("a", "aaaa", "bb"))


def test_the_higher_score_wins_with_its_bradley_terry_probability() -> None:
    sure = round(1 / (1 + math.exp(-1.0)), 6)
    told = "scores: 1.5, 0.5"
    assert opinion([0.5, 1.5], (1, 0)) == Judgement(
        choice=1, reasoning=told, text=told, order=(1, 0), confidence=sure
    )
    assert probabilities([0.0, 0.0]) == (0.5, 0.5)
    assert probabilities([1000.0, 0.0, 1000.0]) == (0.5, 0.0, 0.5)


def test_equal_scores_are_a_tie_and_no_score_is_a_failure() -> None:
    tie, failed = opinion([2.0, 1.0, 2.0], (0, 1, 2)), Failure(reason="too_long")
    assert isinstance(tie, Failure) and tie.reason == "tie" and tie.detail == "2 responses have the score 2"
    assert opinion([2.0, failed], (0, 1)) is failed


def test_each_response_is_scored_once_for_all_votes_and_orders() -> None:
    model = Lengths()
    pair, again, triple = asyncio.run(
        Scalar(model=model).opinions([PAIR, PAIR, TRIPLE], votes=2, both_orders=True)
    )
    assert model.asked == [("Which?", text) for text in ("aaa", "a", "aaaa", "bb")]
    assert pair == again and len(pair) == 4
    assert [one.order for one in pair if isinstance(one, Judgement)] == [(0, 1), (0, 1), (1, 0), (1, 0)]
    assert {one.choice for one in triple if isinstance(one, Judgement)} == {1}


@pytest.mark.parametrize("preference", [PAIR, TRIPLE, Preference(question="q", responses=("b", "a"))])
def test_law_swapping_the_responses_swaps_the_verdict(preference: Preference) -> None:
    judge = Judge.of(Scalar(model=Lengths()))
    before, after = judge.vote([preference, preference.swapped()])
    last = len(preference.responses) - 1
    assert after.choice == (None if before.choice is None else last - before.choice)
    assert after.probabilities == before.probabilities[::-1]


def test_one_question_on_two_images_is_asked_twice() -> None:
    model = Lengths()
    first, second = (Image.new("RGB", (2, 2)) for _ in range(2))
    shown = [replace(PAIR, images=(image,)) for image in (first, second, first)]
    asyncio.run(Scalar(model=model).opinions(shown))
    assert model.asked == [("Which?", "aaa"), ("Which?", "a")] * 2


def test_one_question_after_two_histories_is_asked_twice() -> None:
    model = Lengths()
    called = [Message("assistant", (), (ToolCall("f", {"x": x}),)) for x in (1, 2, 1)]
    shown = [replace(PAIR, history=(turn,)) for turn in called]
    # A question that looks like the transcript of a history is another one.
    said = replace(PAIR, history=(Message("user", ("Hi",)),))
    asyncio.run(
        Scalar(model=model).opinions([*shown, said, replace(PAIR, question="User: Hi\n\nUser: Which?")])
    )
    assert len(model.asked) == 8
