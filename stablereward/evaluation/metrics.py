"""Pure functions on rows. No number depends on the order of the rows.

The rule: a vote is right when its choice is the best response. A tie of votes and a vote whose opinions all
failed are not right, stay in the denominator, and have their own columns (`ties`, `parse_failures`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stablereward.errors import DataError
from stablereward.evaluation.intervals import paired_interval, share_interval, sign_flip_p
from stablereward.types import Row

NO_CHOICE = -1

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How one judge did. All but `votes` and `n` are shares in [0, 1]; None where there is nothing to count.

    `votes`                 opinions per order shown
    `n`                     rows
    `accuracy`              right in the given order / n
    `accuracy_swapped`      right in the reversed order / n; None with one order, as the next two
    `accuracy_both_orders`  right in both orders / n
    `order_consistency`     same choice in both orders / rows with a choice in both
    `accuracy_mean`         mean of `accuracy` and `accuracy_swapped`, or `accuracy` with one order
    `interval`              95 % interval of `accuracy_mean`, see `intervals.share_interval`
    `first_shown`           choices of the response shown first / valid opinions
    `ties`                  votes with valid opinions but no majority / votes
    `parse_failures`        opinions without a verdict / opinions
    """

    judge: str
    votes: int
    n: int
    accuracy: float
    accuracy_swapped: float | None
    accuracy_both_orders: float | None
    order_consistency: float | None
    accuracy_mean: float
    interval: tuple[float, float]
    first_shown: float | None
    ties: float
    parse_failures: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Judge a minus judge b on the same rows.

    `difference`, its 95 % `interval` and the exact `p_sign_flip` are of the accuracy over the orders shown;
    the interval leaves out 0 only where that p is at most .05. `p_mcnemar` is the exact test on "right in
    every order shown"; with one order both are the same. All take rows of one cluster together.
    """

    n: int
    difference: float
    interval: tuple[float, float]
    p_sign_flip: float
    p_mcnemar: float


def summarise(rows: Sequence[Row], *, judge: str = "") -> Summary:
    """All numbers of one judge. Raises `DataError` without rows or with unequal numbers of orders."""
    choices = _choices(rows)
    right = choices == _best(rows)[:, None]
    both = right.shape[1] == 2
    judgements, failures = _opinion_counts(rows)
    opinions = judgements + failures
    return Summary(
        judge=judge,
        votes=int(opinions.max()),
        n=len(rows),
        accuracy=float(right[:, 0].mean()),
        accuracy_swapped=float(right[:, 1].mean()) if both else None,
        accuracy_both_orders=float(right.all(axis=1).mean()) if both else None,
        order_consistency=_consistency(choices) if both else None,
        accuracy_mean=float(right.mean()),
        interval=share_interval(right.mean(axis=1), clusters(rows)),
        first_shown=_first_shown(rows),
        ties=float(((choices == NO_CHOICE) & (judgements > 0)).mean()),
        parse_failures=float(failures.sum() / opinions.sum()),
    )


def by_category(rows: Sequence[Row], *, judge: str = "") -> dict[str, Summary]:
    """A summary per `Row.category`, sorted by name."""
    return {
        category: summarise([row for row in rows if row.category == category], judge=judge)
        for category in sorted({row.category for row in rows})
    }


def difference(a: Sequence[Row], b: Sequence[Row]) -> Difference:
    """Is judge a better than judge b? Both must have judged the same rows in the same order.

    Raises `DataError` where they have not.
    """
    if [(row.id, row.best, len(row.votes)) for row in a] != [(row.id, row.best, len(row.votes)) for row in b]:
        raise DataError("the two judges' rows differ; evaluate both on the same preferences and orders")
    right_a, right_b = right_votes(a).astype(np.int64), right_votes(b).astype(np.int64)
    together = clusters(a)
    gains = right_a.sum(axis=1) - right_b.sum(axis=1)
    p = sign_flip_p(gains, together)
    return Difference(
        n=len(a),
        difference=float(gains.mean()) / right_a.shape[1],
        interval=paired_interval(gains / right_a.shape[1], together, p),
        p_sign_flip=p,
        p_mcnemar=sign_flip_p(right_a.min(axis=1) - right_b.min(axis=1), together),
    )


def right_votes(rows: Sequence[Row]) -> Bools:
    """Which votes are right, [rows, orders]."""
    right: Bools = _choices(rows) == _best(rows)[:, None]
    return right


def clusters(rows: Sequence[Row]) -> list[str]:
    """What each row shares with others that are not independent of it; "" stands alone."""
    return [row.cluster for row in rows]


def _choices(rows: Sequence[Row]) -> Ints:
    """Choices of the votes, [rows, orders], `NO_CHOICE` where there is none."""
    if not rows:
        raise DataError("no rows to measure; evaluate at least one preference")
    if len({len(row.votes) for row in rows}) > 1:
        raise DataError("some rows were judged in one order and some in both; measure them apart")
    return np.array([[NO_CHOICE if v.choice is None else v.choice for v in row.votes] for row in rows])


def _best(rows: Sequence[Row]) -> Ints:
    return np.array([row.best for row in rows])


def _opinion_counts(rows: Sequence[Row]) -> tuple[Ints, Ints]:
    """Valid and failed opinions, each [rows, orders]."""
    judgements = np.array([[len(v.judgements) for v in row.votes] for row in rows])
    failures = np.array([[len(v.failures) for v in row.votes] for row in rows])
    return judgements, failures


def _consistency(choices: Ints) -> float | None:
    valid = (choices != NO_CHOICE).all(axis=1)
    return float((choices[valid, 0] == choices[valid, 1]).mean()) if valid.any() else None


def _first_shown(rows: Sequence[Row]) -> float | None:
    first = np.array([j.choice == j.order[0] for row in rows for v in row.votes for j in v.judgements])
    return float(first.mean()) if first.size else None
