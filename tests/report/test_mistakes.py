from pathlib import Path

import pytest

from stablereward.evaluation.calibration import Bin
from stablereward.report.mistakes import first_shown, kind_of, mistakes_section, reliability
from stablereward.report.run import Result, Run
from stablereward.types import Failure, Judgement, Row, Vote

from .reading import Reader


def vote(*choices: int | None, order: tuple[int, int] = (0, 1)) -> Vote:
    """The majority of these choices; None is an opinion without a verdict."""
    said = [choice for choice in choices if choice is not None]
    counts = said.count(0), said.count(1)
    return Vote(
        choice=None if counts[0] == counts[1] else int(counts[1] > counts[0]),
        probabilities=tuple(count / max(len(said), 1) for count in counts),
        judgements=tuple(Judgement(choice=choice, order=order) for choice in said),
        failures=tuple(Failure(reason="no_verdict") for choice in choices if choice is None),
    )


def pair(first: int | None, second: int | None, best: int = 0, category: str = "") -> Row:
    """A pair judged once in each order."""
    return Row(id="", category=category, best=best, votes=(vote(first), vote(second, order=(1, 0))))


def run(*judges: tuple[str, int, list[Row]]) -> Run:
    return Run(
        folder=Path("run"),
        results=[Result(judge=name, votes=votes) for name, votes, _ in judges],
        judged={(name, votes): rows for name, votes, rows in judges},
    )


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (pair(0, 0), ""),
        (pair(1, 1), "wrong"),
        (pair(0, 1), "order"),
        (pair(1, None), "none"),
        (Row(id="", category="", best=1, votes=(vote(0),)), "wrong"),
    ],
)
def test_the_kind_of_a_mistake(row: Row, kind: str):
    assert kind_of(row) == kind


def test_the_share_for_the_first_shown_by_hand():
    # In the given order 0 stands first, in the other 1: first, later; first, first; no verdict, later.
    assert first_shown([pair(0, 0), pair(0, 1), pair(None, 0)]) == 3 / 5
    assert first_shown([pair(None, None)]) is None


def test_mistakes_by_category_by_hand():
    rows = [
        pair(0, 0, category="a"),
        pair(1, 1, category="a"),
        pair(0, 1, category="b"),
        pair(0, 0, category="b"),
    ]
    rows += [pair(None, 0, category="b"), pair(0, 0, category="b")]
    read = Reader(mistakes_section(run(("trained", 1, rows), ("always first", 1, rows))) or "")
    assert "all categories50.0 % of 6 pairsa50.0 % of 2 pairsb50.0 % of 4 pairs" in read.text
    bars = [one["aria-label"] for one in read.named("div", "parts-bar")]
    assert [label.replace("\N{NO-BREAK SPACE}", " ") for label in bars] == [
        "wrong in every order 16.7 %; right in one order only 16.7 %; no verdict in some order 16.7 %",
        "wrong in every order 50.0 %",
        "right in one order only 25.0 %; no verdict in some order 25.0 %",
    ], "a control has no column"


def test_a_bias_for_a_position_by_hand():
    # Better first: 3 of 4 right. Better later: 1 of 4. For the first shown: 6 of 8.
    rows = [pair(0, 1), pair(0, 0), pair(1, 1), pair(0, 1, best=1)]
    read = Reader(mistakes_section(run(("trained", 1, rows))) or "")
    [picture] = [one["aria-label"] for one in read.named("div", "dumbbell")]
    assert picture.replace("\N{NO-BREAK SPACE}", " ") == (
        "right 75.0 % with the better response first, 25.0 % with it later"
    )
    assert "trained75.0 %25.0 %75.0 %" in read.text
    styles = [one["style"] for one in read.named("i", "dot")]
    assert styles == ["left:25.0%", "left:75.0%"], "the open dot, then the full one"


def test_one_order_tells_nothing_of_position():
    rows = [Row(id="", category="", best=0, votes=(vote(0),))]
    assert "By position" not in (mistakes_section(run(("trained", 1, rows))) or "")


def test_calibration_needs_several_opinions():
    many = [
        Row(id="", category="", best=0, votes=(vote(0, 0, 0, 0, 1), vote(0, 0, 0, 0, 0, order=(1, 0)))),
        Row(id="", category="", best=1, votes=(vote(0, 0, 0, 1, 1), vote(0, 0, 0, 1, 1, order=(1, 0)))),
    ]
    assert "Calibration" not in Reader(mistakes_section(run(("trained", 1, [pair(0, 0)]))) or "").text
    said = Reader(mistakes_section(run(("trained", 5, many))) or "").text
    assert "trained, 5 voteserror 35.0 %" in said
    assert "50–60 % sure: 0.0 % right of 1" in said and "80–90 % sure: 100.0 % right of 1" in said


def test_the_dots_of_a_reliability_diagram_lie_where_the_bins_are():
    filled = [
        Bin(low=0.5, high=0.6, n=1, confidence=0.6, accuracy=0.5),
        Bin(low=0.9, high=1.0, n=4, confidence=1.0, accuracy=1.0),
    ]
    read = Reader(reliability(filled, "judge"))
    dots = [(one["cx"], one["cy"], one["r"]) for one in read.named("circle")]
    assert dots == [("103.2", "89.0", "3.5"), ("348.0", "12.0", "7.0")], "areas are as 1 to 4"
    assert "judge" in read.named("svg")[0]["aria-label"]


def test_no_judgements_no_section():
    assert mistakes_section(run()) is None
