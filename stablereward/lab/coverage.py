"""How often the 95 % intervals of `evaluation.intervals` hold the truth, on judges whose truth is known.

A simulated judge is right on a pair where a number drawn evenly from 0 to 1 lies below its accuracy. Two
orders, two judges or the pairs of one question share that number as often as is stated, so their verdicts go
together. Coverage is counted for each accuracy and each way of going together; a table shows the lowest.

R repetitions, N pairs, S seeds, C clusters.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from stablereward.evaluation.curves import expectation
from stablereward.evaluation.intervals import (
    Floats,
    difference_bounds,
    share_bounds,
    student_quantile,
)
from stablereward.evaluation.tables import grid

PAIRS = (20, 50, 100, 200, 500)
ACCURACIES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99)
REPETITIONS = 10_000
SEEDS = (3, 5, 10)
POOL = 15
TOGETHER = (0.0, 0.5, 0.9)
"""How often two judges, or two orders, share their number."""
GAPS = (0.0, 0.01, 0.05, 0.2)
CLUSTER_SIZES = (1, 2, 3, 4, 5, 7)
"""Pairs of a question, in turn: 3.7 on average, as in MM-RLHF-RewardBench."""
LARGE_QUESTIONS = ((0.1,), (0.2,), (0.5,), (0.9,), (0.25, 0.25), (0.2, 0.2, 0.2), (0.1,) * 5)
"""Shares of all pairs that the large questions have; each other pair is a question of its own."""

_ROUNDING = 1e-9

Bounds = tuple[Floats, Floats]
Cases = Iterator[float]
"""The coverage at each accuracy and each way of going together."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of one kind of interval at n pairs, or n seeds: the lowest coverage of all cases, and their mean."""

    kind: str
    n: int
    lowest: float
    mean: float
    cases: int


def measured(
    kind: str,
    n: int,
    *,
    accuracies: Sequence[float] = ACCURACIES,
    repetitions: int = REPETITIONS,
    seed: int = 0,
) -> Coverage:
    """The coverage of one kind of `KINDS` at n pairs, or n seeds for `SEEDS_KIND`."""
    rng = np.random.default_rng([seed, n])
    found = [case for p in accuracies for case in KINDS[kind](rng, repetitions, n, p)]
    return Coverage(kind, n, min(found), float(np.mean(found)), len(found))


def all_measured(*, repetitions: int = REPETITIONS) -> list[Coverage]:
    """Every kind at every number of pairs or seeds; minutes at the default number of repetitions."""
    return [
        measured(kind, n, repetitions=repetitions)
        for kind in KINDS
        for n in (SEEDS if kind == SEEDS_KIND else PAIRS)
    ]


def to_markdown(found: Sequence[Coverage]) -> str:
    """The lowest coverage of each kind by number of pairs, and below that of means over seeds."""
    parts = []
    for what, some in (
        ("pairs", [one for one in found if one.kind != SEEDS_KIND]),
        ("seeds", [one for one in found if one.kind == SEEDS_KIND]),
    ):
        sizes = sorted({one.n for one in some})
        at = {(one.kind, one.n): f"{100 * one.lowest:.1f} %" for one in some}
        kinds = dict.fromkeys(one.kind for one in some)
        rows = [[kind, *(at[kind, n] for n in sizes)] for kind in kinds]
        parts.append(grid(["lowest coverage", *(f"{n} {what}" for n in sizes)], rows))
    return "\n\n".join(parts)


def _one_order(rng: Generator, repetitions: int, n: int, p: float) -> Cases:
    """Exact: every number of right pairs with its binomial chance, at p and two accuracies beside it."""
    right_RN = (np.arange(n)[None] < np.arange(n + 1)[:, None]).astype(np.float64)
    low, high = share_bounds(right_RN, np.ones_like(right_RN))
    ways = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(n + 1)]
    for near in (p - 0.005, p, min(p + 0.005, 0.99)):
        chances = np.exp(ways + np.arange(n + 1) * math.log(near) + np.arange(n, -1, -1) * math.log1p(-near))
        yield float(chances[_holds((low, high), near)].sum())


def _both_orders(rng: Generator, repetitions: int, n: int, p: float) -> Cases:
    """Orders that share their number, and a judge that follows the position as far as its accuracy lets."""
    for share in (*TOGETHER, 1.0):
        given = rng.random((repetitions, n))
        yield _share((given < p) * 0.5 + (_like(rng, given, share) < p) * 0.5, p)
    given = rng.random((repetitions, n))
    yield _share((given < p) * 0.5 + (1 - given < p) * 0.5, p)


def _votes(rng: Generator, repetitions: int, n: int, p: float) -> Cases:
    """The voting curve's accuracies of 5 and 15 votes, where single opinions are right in a share p."""
    for votes in (5, POOL):
        values, truth = _curve(rng, repetitions, n, p, votes)
        yield _share(values, truth)


def _gain(rng: Generator, repetitions: int, n: int, p: float) -> Cases:
    for votes in (5, POOL):
        state = rng.bit_generator.state
        many, truth = _curve(rng, repetitions, n, p, votes)
        rng.bit_generator.state = state  # the same pools
        single, single_truth = _curve(rng, repetitions, n, p, 1)
        yield _difference(many - single, truth - single_truth)


def _two_judges(rng: Generator, repetitions: int, n: int, p: float) -> Cases:
    for gap in GAPS:
        for share in TOGETHER:
            a = rng.random((repetitions, n))
            yield _difference(_gains(a, _like(rng, a, share), p, gap), gap)


def _two_judges_both_orders(rng: Generator, repetitions: int, n: int, p: float) -> Cases:
    for gap in GAPS:
        for share in TOGETHER:
            values = np.zeros((repetitions, n))
            given = rng.random((repetitions, n))
            for a in (given, _like(rng, given, 0.6)):
                values += _gains(a, _like(rng, a, share), p, gap) / 2
            yield _difference(values, gap)


def _clustered(rng: Generator, repetitions: int, n: int, p: float) -> Cases:
    yield from _of_questions(rng, repetitions, p, _sizes(n))


def _large_questions(rng: Generator, repetitions: int, n: int, p: float) -> Cases:
    for large in LARGE_QUESTIONS:
        yield from _of_questions(rng, repetitions, p, _unequal(n, large))


def _of_questions(rng: Generator, repetitions: int, p: float, sizes: Sequence[int]) -> Cases:
    sizes_C = np.array(sizes, dtype=np.float64)
    for share in (*TOGETHER, 1.0):
        numbers = _numbers(rng, repetitions, sizes, share)
        yield _share(_sums((numbers < p).astype(np.float64), sizes_C), p, sizes_C)


def _clustered_judges(rng: Generator, repetitions: int, n: int, p: float) -> Cases:
    yield from _judges_of_questions(rng, repetitions, p, _sizes(n))


def _large_questions_judges(rng: Generator, repetitions: int, n: int, p: float) -> Cases:
    for large in LARGE_QUESTIONS:
        yield from _judges_of_questions(rng, repetitions, p, _unequal(n, large))


def _judges_of_questions(rng: Generator, repetitions: int, p: float, sizes: Sequence[int]) -> Cases:
    sizes_C = np.array(sizes, dtype=np.float64)
    for gap in GAPS:
        for share in TOGETHER:
            numbers = _numbers(rng, repetitions, sizes, share)
            apart = _numbers(rng, repetitions, sizes, share)
            alike = rng.random((repetitions, len(sizes))) < 0.5  # the judges' numbers on a question
            other = np.where(np.repeat(alike, sizes, axis=1), numbers, apart)
            yield _difference(_sums(_gains(numbers, other, p, gap), sizes_C), gap, sizes_C)


def _seeds(rng: Generator, repetitions: int, n: int, p: float) -> Cases:
    """Seeds normal around p, as far apart as a quarter of the way to 1, each with 480 verdicts."""
    for spread in (0.0, (1 - p) / 8, (1 - p) / 4):
        truths = np.clip(rng.normal(p, spread, (repetitions, n)), 0, 1)
        values_RS = rng.binomial(480, truths) / 480
        reach = student_quantile(n - 1) * values_RS.std(axis=1, ddof=1) / math.sqrt(n)
        mean = values_RS.mean(axis=1)
        known = reach > 0  # where all seeds are equal no interval is given
        yield float(_holds((mean - reach, mean + reach), p)[known].mean())


SEEDS_KIND = "mean over seeds"
KINDS: Mapping[str, Callable[[Generator, int, int, float], Cases]] = {
    "accuracy, one order": _one_order,
    "accuracy, both orders": _both_orders,
    "accuracy of several votes": _votes,
    "accuracy, several pairs a question": _clustered,
    "accuracy, a few large questions": _large_questions,
    "difference, one order": _two_judges,
    "difference, both orders": _two_judges_both_orders,
    "difference, several pairs a question": _clustered_judges,
    "difference, a few large questions": _large_questions_judges,
    "gain of several votes": _gain,
    SEEDS_KIND: _seeds,
}


def _like(rng: Generator, numbers: Floats, share: float) -> Floats:
    """The same numbers with that chance, else others."""
    return np.where(rng.random(numbers.shape) < share, numbers, rng.random(numbers.shape))


def _gains(a: Floats, b: Floats, p: float, gap: float) -> Floats:
    """What a judge of accuracy p gains on each pair over one of accuracy p - gap, from their numbers."""
    return (a < p).astype(np.float64) - (b < p - gap).astype(np.float64)


def _sizes(n: int) -> list[int]:
    sizes: list[int] = []
    while sum(sizes) < n:
        sizes.append(min(CLUSTER_SIZES[len(sizes) % len(CLUSTER_SIZES)], n - sum(sizes)))
    return sizes


def _unequal(n: int, large: Sequence[float]) -> list[int]:
    sizes = [round(share * n) for share in large]
    return sizes + [1] * (n - sum(sizes))


def _numbers(rng: Generator, repetitions: int, sizes: Sequence[int], share: float) -> Floats:
    """A number a pair, [R, N], that of its question with chance `share`."""
    own = np.repeat(rng.random((repetitions, len(sizes))), sizes, axis=1)
    return _like(rng, own, share)


def _sums(values_RN: Floats, sizes_C: Floats) -> Floats:
    starts = np.concatenate([[0], np.cumsum(sizes_C)[:-1]]).astype(np.int64)
    sums: Floats = np.add.reduceat(values_RN, starts, axis=1)
    return sums


def _curve(rng: Generator, repetitions: int, n: int, p: float, votes: int) -> tuple[Floats, float]:
    """The majority of `votes` of pools with Beta(p, 1 - p) right opinions: the values and their mean."""
    right = rng.binomial(POOL, rng.beta(p, 1 - p, (repetitions, n)))
    values = np.array([expectation(r, POOL - r, 0, votes)[0] for r in range(POOL + 1)])
    # A beta-binomial with a + b = 1: C(n, r) B(r + p, n - r + 1 - p) / B(p, 1 - p).
    chances = [
        math.comb(POOL, r)
        * math.exp(math.lgamma(r + p) + math.lgamma(POOL - r + 1 - p) - math.lgamma(POOL + 1))
        / math.exp(math.lgamma(p) + math.lgamma(1 - p))
        for r in range(POOL + 1)
    ]
    return values[right], float(np.dot(chances, values))


def _share(sums: Floats, truth: float, sizes: Floats | None = None) -> float:
    return float(_holds(share_bounds(sums, np.ones_like(sums) if sizes is None else sizes), truth).mean())


def _difference(sums: Floats, truth: float, sizes: Floats | None = None) -> float:
    bounds = difference_bounds(sums, np.ones_like(sums) if sizes is None else sizes)
    return float(_holds(bounds, truth).mean())


def _holds(bounds: Bounds, truth: float) -> NDArray[np.bool_]:
    low, high = bounds
    held: NDArray[np.bool_] = (low <= truth + _ROUNDING) & (truth - _ROUNDING <= high)
    return held
