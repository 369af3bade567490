"""The voting curve against hand counts and against enumeration."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from math import comb

import pytest

from stablereward.errors import DataError
from stablereward.evaluation.curves import (
    DRAWN_SUBSETS,
    MOST_SUBSETS,
    Point,
    expectation,
    gain_in_words,
    to_markdown,
    voting_curve,
    weighted_curve,
)
from stablereward.judges.voting import Ballot, by_confidence, by_probability, one_voice, vote
from stablereward.types import Failure, Judgement, Row


def row(*orders: str) -> Row:
    """A row from letters: r right, w wrong, f failed."""
    given = ((0, 1), (1, 0))
    votes = []
    for letters, order in zip(orders, given, strict=False):
        heard = [
            Failure(reason="no_answer") if one == "f" else Judgement(choice=int(one == "w"), order=order)
            for one in letters
        ]
        votes.append(vote(heard, 2))
    return Row(id="", category="", best=0, votes=tuple(votes))


def test_by_hand() -> None:
    # Of rrw: single votes are right in 2/3; pairs are rr once, and twice a tie; all three together are right.
    one, two, three = voting_curve([row("rrw")])
    assert (one.accuracy, two.accuracy, three.accuracy) == pytest.approx((2 / 3, 1 / 3, 1.0))
    assert (one.ties, two.ties, three.ties) == pytest.approx((0, 2 / 3, 0))
    assert three.gain == pytest.approx(1 / 3) and one.gain == 0.0


@pytest.mark.parametrize("pool", ["rrrww", "rwwff", "rrfff", "wwww", "fffff", "rrrrwwwf"])
def test_every_subset_is_counted(pool: str) -> None:
    counts = pool.count("r"), pool.count("w"), pool.count("f")
    for k in range(1, len(pool) + 1):
        margins = [s.count("r") - s.count("w") for s in combinations(pool, k)]
        ties = [
            margin == 0 and set(s) != {"f"} for margin, s in zip(margins, combinations(pool, k), strict=True)
        ]
        right, tie = expectation(*counts, k)
        assert right == pytest.approx(sum(m > 0 for m in margins) / len(margins))
        assert tie == pytest.approx(sum(ties) / len(ties))


def test_orders_weigh_equally_and_intervals_hold_the_value() -> None:
    points = voting_curve([row("rrr", "www"), row("rrw", "rrw"), row("rrr", "rrw")])
    assert points[0].accuracy == pytest.approx((1 / 2 + 2 / 3 + 5 / 6) / 3)
    assert points[2].accuracy == pytest.approx((1 / 2 + 1 + 1) / 3)
    for point in points:
        assert point.interval[0] <= point.accuracy <= point.interval[1]
        assert point.gain_interval[0] <= point.gain <= point.gain_interval[1]


@pytest.mark.parametrize("curve", [voting_curve, lambda rows: weighted_curve(rows, one_voice)])
def test_rows_of_a_question_widen_the_intervals(curve: Callable[[list[Row]], list[Point]]) -> None:
    rows = [row("rrw" if i < 24 else "wwr") for i in range(40)]
    together = curve([replace(one, cluster=str(i // 4)) for i, one in enumerate(rows)])
    for alone, some in zip(curve(rows), together, strict=True):
        assert (some.accuracy, some.gain) == (alone.accuracy, alone.gain)
        assert some.interval[0] < alone.interval[0] and alone.interval[1] < some.interval[1]
        assert some.gain_interval[0] < alone.gain_interval[0]


def test_unequal_pools_and_other_rows_are_refused() -> None:
    with pytest.raises(DataError, match="one number of opinions"):
        voting_curve([row("rr"), row("r")])
    four = Row(id="", category="", best=0, votes=(vote([Judgement(choice=3)], 4),))
    with pytest.raises(DataError, match="two responses"):
        voting_curve([four])


def confident(*orders: str, sure: tuple[float, ...]) -> Row:
    """The same row with confidences, one a letter."""
    plain = row(*orders)
    votes = []
    for one in plain.votes:
        heard = [replace(j, confidence=p) for j, p in zip(one.judgements, sure, strict=False)]
        votes.append(vote([*heard, *one.failures], 2))
    return replace(plain, votes=tuple(votes))


ROWS = [row("rrwwf", "rwwww"), row("rrrrr", "fffff"), row("rwrwf", "rrrwf")]


def test_law_equal_weights_give_the_curve_of_the_majority() -> None:
    for counted, weighed in zip(voting_curve(ROWS), weighted_curve(ROWS, one_voice), strict=True):
        assert (weighed.accuracy, weighed.ties, weighed.gain) == pytest.approx(
            (counted.accuracy, counted.ties, counted.gain)
        )
        assert weighed.interval == pytest.approx(counted.interval)


@pytest.mark.parametrize("ballot", [by_confidence, by_probability])
def test_weighted_votes_are_those_of_the_subsets(ballot: Ballot) -> None:
    rows = [
        confident("rwwrf", sure=(0.9, 0.4, 0.4, 0.6)),
        confident("rwwww", sure=(0.99, 0.5, 0.7, 0.2, 0.6)),
    ]
    curve = weighted_curve(rows, ballot)
    for k in range(1, 6):
        right = [
            vote(subset, 2, ballot=ballot).choice == one.best
            for one in rows
            for subset in combinations((*one.votes[0].judgements, *one.votes[0].failures), k)
        ]
        assert curve[k - 1].accuracy == pytest.approx(sum(right) / len(right))


def test_of_large_pools_subsets_are_drawn_without_bias_and_by_the_seed() -> None:
    pool = row("r" * 9 + "w" * 8)
    assert comb(17, 9) > MOST_SUBSETS
    drawn, counted = weighted_curve([pool], one_voice, seed=1), voting_curve([pool])
    assert drawn == weighted_curve([pool], one_voice, seed=1)
    # Five standard errors of a share of so many.
    assert drawn[8].accuracy == pytest.approx(counted[8].accuracy, abs=5 * 0.5 / DRAWN_SUBSETS**0.5)


def test_the_printed_curve_has_odd_votes_and_the_gain_is_said() -> None:
    points = voting_curve([row("rrw"), row("rrw")])
    text = to_markdown({"majority": points, "again": points})
    assert [line.split("|")[1:3] for line in text.splitlines()[2:]] == [
        [" 1              ", "   66.7 % "],
        [" 3              ", "  100.0 % "],
    ]
    assert gain_in_words(points, 2) == (
        "3 votes minus 1 vote: +33.3 points (95 % interval -100.0 to +100.0, paired over 2 pairs; "
        "the single votes are the same samples)"
    )
