"""Accuracy against the number of votes, from one pool of samples.

Every subset of the pool is counted rather than a few drawn, so the curve is the exact expectation over
subsets: unbiased, and without noise of its own. Only the weighted curves of large pools draw.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from stablereward.errors import DataError
from stablereward.evaluation.intervals import difference_interval, share_interval
from stablereward.evaluation.metrics import clusters
from stablereward.evaluation.tables import grid
from stablereward.judges.voting import Ballot
from stablereward.types import Row, Vote

MOST_SUBSETS = 8192
"""All subsets of 15 votes are counted."""

DRAWN_SUBSETS = 2048
"""Of pools that have more, the same for all of them."""

POOLS_AT_ONCE = 256
_EXACT = 1e-12
"""Sums of weights closer than this are equal."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The verdict of `votes` opinions per order, expected over all subsets of that size.

    `accuracy`  mean over orders and rows; a tie and a vote of failures only are not right
    `ties`      share of votes with valid opinions but no majority
    `gain`      `accuracy` minus that of one vote, paired by row
    The intervals are 95 % intervals over rows, see `intervals`.
    """

    votes: int
    accuracy: float
    interval: tuple[float, float]
    ties: float
    gain: float
    gain_interval: tuple[float, float]


def voting_curve(rows: Sequence[Row]) -> list[Point]:
    """The majority for each number of votes from one to the pool's size, for rows of two responses.

    With r right, w wrong and f failed of n opinions in an order, k of them are right by majority with
    probability Σ_{a > b} C(r, a) C(w, b) C(f, k - a - b) / C(n, k).
    Raises `DataError` for other rows, or where pools have several sizes.
    """
    size = _pool_size(rows)
    pools = [[_pool(vote, row.best) for vote in row.votes] for row in rows]
    expected = [
        np.array([[expectation(*pool, k) for pool in row] for row in pools]).mean(axis=1)
        for k in range(1, size + 1)
    ]
    return [_point(k, values, expected[0], clusters(rows)) for k, values in enumerate(expected, start=1)]


def weighted_curve(rows: Sequence[Row], ballot: Ballot, *, seed: int = 0) -> list[Point]:
    """The same for a vote whose opinions weigh as `ballot` says, such as `judges.voting.by_confidence`.

    Of the k-subsets of a pool all are counted up to `MOST_SUBSETS`, else `DRAWN_SUBSETS` drawn by the seed.
    Raises `DataError` as `voting_curve` and the ballot do.
    """
    size = _pool_size(rows)
    leads_RON = np.array([[_leads(vote, row.best, ballot) for vote in row.votes] for row in rows])
    valid_RON = np.array(
        [[[1.0] * len(v.judgements) + [0.0] * len(v.failures) for v in r.votes] for r in rows]
    )
    expected = []
    for k in range(1, size + 1):
        subsets_SN = _subsets(size, k, seed)
        parts = [
            _outcomes(subsets_SN, leads_RON[i : i + POOLS_AT_ONCE], valid_RON[i : i + POOLS_AT_ONCE])
            for i in range(0, len(rows), POOLS_AT_ONCE)
        ]
        expected.append(np.concatenate(parts))
    return [_point(k, values, expected[0], clusters(rows)) for k, values in enumerate(expected, start=1)]


@cache
def expectation(right: int, wrong: int, failed: int, k: int) -> tuple[float, float]:
    """Over all k-subsets of such a pool: how often the majority is right, and how often it is a tie."""
    majority = tie = 0
    for a in range(min(right, k) + 1):
        for b in range(min(a, wrong, k - a) + 1):
            ways = comb(right, a) * comb(wrong, b) * comb(failed, k - a - b)
            majority += ways * (a > b)
            tie += ways * (a == b > 0)
    subsets = comb(right + wrong + failed, k)
    return majority / subsets, tie / subsets


def gain_in_words(points: Sequence[Point], pairs: int) -> str:
    """What the largest odd number of votes gains over one vote, with its interval."""
    last = points[::2][-1]
    low, high = last.gain_interval
    return (
        f"{last.votes} votes minus 1 vote: {100 * last.gain:+.1f} points (95 % interval {100 * low:+.1f} to "
        f"{100 * high:+.1f}, paired over {pairs} pairs; the single votes are the same samples)"
    )


def cells(curves: Mapping[str, Sequence[Point]]) -> tuple[list[str], list[list[str]]]:
    """A head, and a row for each odd number of votes, which rarely ties, with two columns a way of voting."""
    head = ["votes an order"]
    for name in curves:
        head += [name, "95 % interval"]
    lines = []
    for at_k in zip(*(points[::2] for points in curves.values()), strict=True):
        line = [f"{at_k[0].votes}"]
        for point in at_k:
            low, high = point.interval
            line += [f"{100 * point.accuracy:.1f} %", f"{100 * low:.1f}–{100 * high:.1f}"]
        lines.append(line)
    return head, lines


def to_markdown(curves: Mapping[str, Sequence[Point]]) -> str:
    """The same as a table."""
    return grid(*cells(curves))


def _pool_size(rows: Sequence[Row]) -> int:
    sizes = {len(vote.judgements) + len(vote.failures) for row in rows for vote in row.votes}
    if len(sizes) != 1:
        raise DataError("a voting curve needs rows with one number of opinions in each order")
    if any(len(vote.probabilities) != 2 for row in rows for vote in row.votes):
        raise DataError("a voting curve needs rows of two responses")
    return sizes.pop()


def _pool(vote: Vote, best: int) -> tuple[int, int, int]:
    right = sum(judgement.choice == best for judgement in vote.judgements)
    return right, len(vote.judgements) - right, len(vote.failures)


def _leads(vote: Vote, best: int, ballot: Ballot) -> list[float]:
    """By how much each opinion prefers the better response; failures by nothing. [N]"""
    given = [ballot(judgement, 2) for judgement in vote.judgements]
    return [float(one[best] - one[1 - best]) for one in given] + [0.0] * len(vote.failures)


def _subsets(size: int, k: int, seed: int) -> Floats:
    """k-subsets of a pool as rows of zeros and ones, [S, N]."""
    if comb(size, k) <= MOST_SUBSETS:
        chosen = np.array(list(combinations(range(size), k)))
    else:
        lots = np.random.default_rng([seed, size, k]).random((DRAWN_SUBSETS, size))
        chosen = lots.argsort(axis=1)[:, :k]
    subsets = np.zeros((len(chosen), size))
    np.put_along_axis(subsets, chosen, 1.0, axis=1)
    return subsets


def _outcomes(subsets_SN: Floats, leads_RON: Floats, valid_RON: Floats) -> Floats:
    """How often subsets of each row's opinions are right and how often they tie, mean over orders, [R, 2]."""
    lead_ROS = leads_RON @ subsets_SN.T
    heard_ROS = valid_RON @ subsets_SN.T > 0
    right_RO = (lead_ROS > _EXACT).mean(axis=2)
    tie_RO = (heard_ROS & (np.abs(lead_ROS) <= _EXACT)).mean(axis=2)
    outcomes: Floats = np.stack([right_RO, tie_RO], axis=2).mean(axis=1)
    return outcomes


def _point(k: int, values: Floats, single: Floats, together: Sequence[str]) -> Point:
    gains = values[:, 0] - single[:, 0]
    return Point(
        votes=k,
        accuracy=float(values[:, 0].mean()),
        interval=share_interval(values[:, 0], together),
        ties=float(values[:, 1].mean()),
        gain=float(gains.mean()),
        gain_interval=difference_interval(gains, together),
    )
