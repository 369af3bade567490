"""Scoring rules that several benchmarks share: from rows to figures.

A rule differs from another in what a vote is worth, in particular one without a winner.
"""

from collections.abc import Callable, Sequence

from stablereward.evaluation.metrics import summarise
from stablereward.evaluation.records import EQUAL, TIES, is_tie
from stablereward.evaluation.tables import Figure, mean, share
from stablereward.types import Failure, Row

Worth = Callable[[Row], list[float]]
"""What a row adds to a share: its points in [0, 1], none where the rule leaves it out."""


def strict(row: Row) -> list[float]:
    """Every vote counts; one without a winner is wrong."""
    return [float(one.choice == row.best) for one in row.votes]


def left_out(row: Row) -> list[float]:
    """A vote without a winner is left out of the denominator."""
    return [float(one.choice == row.best) for one in row.votes if one.choice is not None]


def half(row: Row) -> list[float]:
    """A vote without a winner is worth what a fair die would earn."""
    return [
        1 / len(one.probabilities) if one.choice is None else float(one.choice == row.best)
        for one in row.votes
    ]


def half_for_words(row: Row) -> list[float]:
    """As `half` for a judge that writes; equal scores, of which a scorer made no verdict, are wrong."""
    equal = [any(failure.reason == EQUAL for failure in one.failures) for one in row.votes]
    return [0.0 if level else points for level, points in zip(equal, half(row), strict=True)]


def right_shown_first(row: Row) -> list[float]:
    """Only the vote that was given while the right response stood first."""
    return [points for points, first in zip(strict(row), _right_first(row), strict=True) if first]


def right_shown_later(row: Row) -> list[float]:
    """Only the vote that was given while the right response did not stand first."""
    return [points for points, first in zip(strict(row), _right_first(row), strict=True) if not first]


def accuracy(name: str, rows: Sequence[Row], worth: Worth = strict) -> Figure:
    """The share of points under a rule, with the opinions without a verdict and the tied votes."""
    votes = [one for row in rows for one in row.votes]
    return share(
        name,
        [points for row in rows for points in worth(row)],
        unread=sum(failure.reason not in TIES for one in votes for failure in one.failures),
        ties=sum(map(is_tie, votes)),
    )


def categories(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of each category, categories by name."""
    names = sorted({row.category for row in rows})
    return {name: [row for row in rows if row.category == name] for name in names}


def by_category(rows: Sequence[Row], worth: Worth = strict) -> tuple[Figure, ...]:
    """Each category, all rows together (`overall`, micro) and the mean of categories (`macro`)."""
    figures = [accuracy(name, some, worth) for name, some in categories(rows).items() if name]
    overall = accuracy("overall", rows, worth)
    return (*figures, overall, mean("macro", figures)) if figures else (overall,)


def stablereward(rows: Sequence[Row]) -> tuple[Figure, ...]:
    """This package's rule: every vote in every order shown counts, and one without a winner is not right.

    After the accuracies come what depends on the order shown, and the opinions without a verdict.
    """
    summary = summarise(rows)
    order = {
        "right in both orders": summary.accuracy_both_orders,
        "same choice in both orders": summary.order_consistency,
        "chose the answer shown first": summary.first_shown,
    }
    opinions = [opinion for row in rows for one in row.votes for opinion in (*one.judgements, *one.failures)]
    return (
        *by_category(rows),
        accuracy("right among verdicts", rows, left_out),
        accuracy("right answer shown first", rows, right_shown_first),
        accuracy("right answer shown later", rows, right_shown_later),
        *(Figure(name=name, value=100 * value) for name, value in order.items() if value is not None),
        share("no verdict", [float(isinstance(o, Failure) and o.reason not in TIES) for o in opinions]),
    )


def _right_first(row: Row) -> tuple[bool, ...]:
    """For each order shown, given and reversed, whether the right response stood first."""
    last = len(row.votes[0].probabilities) - 1
    return tuple(row.best == first for first, _ in zip((0, last), row.votes, strict=False))
