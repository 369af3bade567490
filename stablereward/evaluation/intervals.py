"""95 % intervals of means of bounded values, and the exact test of paired ones.

A mean over pairs gets Student's interval after values at both ends of the scale are added: two at either end
for a share, one at either end for a difference. In one order that is the interval of Agresti and Coull 1998,
https://doi.org/10.1080/00031305.1998.10480550, and for a paired difference that of Bonett and Price 2012,
https://doi.org/10.3102/1076998611411915, each with Student's quantile. Without added values a judge that is
right on every pair would have the interval from 1 to 1. Wilson's interval (1927), with nearly the same
centre, covers 90 % at some accuracies where pairs are few. `stablereward lab coverage` measures these.

Where a few questions have most of the pairs, the number of clusters says too much. What counts is their
effective number, (Σ sizes)² / Σ sizes²: as many clusters of one size, Σ sizes² / Σ sizes, would tell as much
if all pairs of a question went together (Kish 1965, Survey Sampling, section 8.2). Where all clusters have
one size it is their number.

C is the number of clusters. A cluster is what was drawn independently of the rest: a pair, or a question with
all of its pairs.
"""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Interval = tuple[float, float]


def share_interval(values: Floats, clusters: Sequence[str]) -> Interval:
    """Of the mean of values in [0, 1], one a row.

    Rows with one name in `clusters` are one cluster; a row with the name "" is one alone. From a single
    cluster little more is known than the ends of the scale.
    """
    low, high = share_bounds(*totals(values, clusters))
    return float(low), float(high)


def difference_interval(values: Floats, clusters: Sequence[str]) -> Interval:
    """Of the mean of paired differences in [-1, 1], one a row; clusters as in `share_interval`."""
    low, high = difference_bounds(*totals(values, clusters))
    return float(low), float(high)


def paired_interval(values: Floats, clusters: Sequence[str], p: float) -> Interval:
    """`difference_interval`, drawn out to 0 where an exact test with this p does not reject "no difference".

    So no interval leaves out 0 where the exact test would keep it.
    """
    low, high = difference_interval(values, clusters)
    return (low, high) if p <= 1 - LEVEL else (min(low, 0.0), max(high, 0.0))


def share_bounds(sums_C: Floats, sizes_C: Floats) -> tuple[Floats, Floats]:
    """`share_interval` of clusters with these sums and sizes; leading dimensions are kept."""
    return _student(sums_C, sizes_C, ends=(0.0, 1.0), added=2)


def difference_bounds(sums_C: Floats, sizes_C: Floats) -> tuple[Floats, Floats]:
    """`difference_interval` of clusters with these sums and sizes; leading dimensions are kept."""
    return _student(sums_C, sizes_C, ends=(-1.0, 1.0), added=1)


def sign_flip_p(points: Ints, clusters: Sequence[str]) -> float:
    """Exact two-sided p of whole paired differences: how often random signs take their sum as far from 0.

    Under "no difference" a cluster's sum is as likely to have the other sign. With differences of -1, 0 and 1
    that stand alone this is the exact McNemar test, min(1, 2 Σ_{i ≤ min(a, b)} C(n, i) / 2^n) with n = a + b.
    Fisher 1935, The Design of Experiments, section 21.
    """
    sums, _ = totals(points.astype(np.float64), clusters)
    sizes = np.abs(sums[sums != 0]).astype(np.int64)
    reach = int(sizes.sum())
    chances = np.zeros(2 * reach + 1)  # of each sum from -reach to reach
    chances[reach] = 1.0
    for size in sizes:
        # Nothing falls off an end: what is there is not yet further out than the sizes so far.
        chances = (np.roll(chances, size) + np.roll(chances, -size)) / 2
    far = abs(int(sums.sum()))
    return min(1.0, float(chances[: reach - far + 1].sum() + chances[reach + far :].sum()))


@cache
def student_quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t with a whole number of degrees of freedom.

    By bisection of its distribution, a finite sum: Abramowitz and Stegun 1964, 26.7.3 and 26.7.4.
    """
    low, high = 0.0, 16.0  # with 1 degree of freedom it is 12.7
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < LEVEL else (low, middle)
    return high


def totals(values: Floats, clusters: Sequence[str]) -> tuple[Floats, Floats]:
    """The sum and number of values of each cluster, [C] each, sorted: the order of rows has no effect."""
    places: dict[str | int, int] = {}
    index = [places.setdefault(name or row, len(places)) for row, name in enumerate(clusters)]
    sums = np.bincount(index, weights=values).astype(np.float64)
    sizes = np.bincount(index).astype(np.float64)
    order = np.lexsort((sums, sizes))
    return sums[order], sizes[order]


def _student(sums: Floats, sizes: Floats, *, ends: Interval, added: int) -> tuple[Floats, Floats]:
    """Student's interval of Σ sums / Σ sizes over [..., C], `added` clusters of effective size at either end.

    The variance is Σ (sum_c - mean · size_c)² / (1 - share_c) / (Σ sizes)², the added ones being clusters:
    a cluster draws the mean to itself by its share_c = size_c / Σ sizes, so that its residual is too small.
    Bell and McCaffrey 2002, Survey Methodology 28(2), 169-181, for a mean. The degrees of freedom are the
    effective number of clusters, the added ones among them, less 1, rounded down. Where all clusters have one
    size these are the variance and the freedom of a sample.
    """
    size = (sizes**2).sum(axis=-1) / sizes.sum(axis=-1)
    weight = sizes.sum(axis=-1) + 2 * added * size
    mean = (sums.sum(axis=-1) + added * size * sum(ends)) / weight
    rest = 1 - size / weight
    # Exactly 1 where all clusters have one size.
    raised = rest[..., None] / (1 - sizes / weight[..., None])
    squares = (raised * (sums - mean[..., None] * sizes) ** 2).sum(axis=-1)
    squares = (squares + added * sum((size * (end - mean)) ** 2 for end in ends)) / rest
    # With the added ones the effective number is weight / size. Rounding must not take a whole one away.
    freedom = np.floor(weight / size - 1 + 1e-9).astype(np.int64)
    quantile = np.vectorize(student_quantile, otypes=[np.float64])(freedom)
    reach = quantile * np.sqrt(squares) / weight
    return np.maximum(mean - reach, ends[0]), np.minimum(mean + reach, ends[1])


def _within(t: float, freedom: int) -> float:
    """The chance of |T| < t."""
    angle = math.atan(t / math.sqrt(freedom))
    steps = np.arange(2 + freedom % 2, freedom - 1, 2)
    series = 1 + float(np.cumprod((steps - 1) / steps * math.cos(angle) ** 2).sum())
    if freedom % 2 == 0:
        return math.sin(angle) * series
    return 2 / math.pi * (angle + (math.sin(angle) * math.cos(angle) * series if freedom > 1 else 0.0))
