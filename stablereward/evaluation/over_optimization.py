"""Best-of-n by a proxy, worth what gold says: the curve on which over-optimisation is seen.

Of each question's N responses every n-subset is counted, none drawn: a response is chosen by as many of them
as it is the best of by the proxy. https://arxiv.org/abs/2210.10760 has such curves. From what was sampled
best-of-n is at most log n - (n - 1)/n away in KL (https://arxiv.org/abs/2401.01879).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stablereward.errors import DataError
from stablereward.evaluation.intervals import student_quantile
from stablereward.runs.files import write_atomic

FILE = "over_optimization.json"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """A mean over questions with its 95 % interval of Student's t; from one question it has none."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The best of `n` by the proxy, expected over all subsets of that size.

    `kl`    log n - (n - 1)/n, a bound
    `proxy` the proxy's score of what it chose
    `gold`  what that is worth
    `gain`  `gold` minus that of a response chosen by nobody (n = 1), paired by question
    """

    n: int
    kl: float
    proxy: Mean
    gold: Mean
    gain: Mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Points by ascending n, and what is lost from the best of them to the last, paired by question.

    The best is picked on the same questions, so that `lost` is a little too large where little is lost:
    over-optimisation is seen where its whole interval is above 0.
    """

    points: tuple[Point, ...]
    best_n: int
    lost: Mean


def chances(proxy_N: Floats, n: int) -> Floats:
    """How likely each of N responses is the best by the proxy among n of them, [N]; equals share.

    With a below x and b up to x, the value x wins C(b, n) - C(a, n) of C(N, n) subsets.
    """
    num = len(proxy_N)
    _, place_N, count = np.unique(proxy_N, return_inverse=True, return_counts=True)
    reached = np.concatenate([[0], np.cumsum(count)])
    # C(b, n) / C(N, n) as a product, for the numbers themselves are too large.
    terms = (reached[:, None] - np.arange(n)) / (num - np.arange(n))
    share = np.prod(np.clip(terms, 0.0, 1.0), axis=1)
    found: Floats = ((share[1:] - share[:-1]) / count)[place_N]
    return found


def best_of_n(proxy_PN: Sequence[Floats], worth_PN: Sequence[Floats], n: int) -> Floats:
    """For each of P questions the expected worth of the response that the proxy chooses of n, [P]."""
    return np.array(
        [chances(proxy_N, n) @ worth_N for proxy_N, worth_N in zip(proxy_PN, worth_PN, strict=True)]
    )


def curve(proxy_PN: Sequence[Floats], gold_PN: Sequence[Floats], ns: Sequence[int]) -> Curve:
    """Gold and proxy against n, over P questions of at least max(ns) responses each.

    Raises DataError for too few responses, scores that are not finite or no questions.
    """
    _require(proxy_PN, gold_PN, ns)
    by_n = {n: best_of_n(proxy_PN, gold_PN, n) for n in ns}
    start_P = best_of_n(proxy_PN, gold_PN, 1)
    points = tuple(
        Point(
            n=n,
            kl=math.log(n) - (n - 1) / n,
            proxy=mean_of(best_of_n(proxy_PN, proxy_PN, n)),
            gold=mean_of(gold_P),
            gain=mean_of(gold_P - start_P),
        )
        for n, gold_P in by_n.items()
    )
    best = max(points, key=lambda point: point.gold.value).n
    return Curve(points=points, best_n=best, lost=mean_of(by_n[best] - by_n[max(ns)]))


def mean_of(values_P: Floats) -> Mean:
    """The mean over questions with its interval, which has no bounds as shares have."""
    num, mean = len(values_P), float(values_P.mean())
    if num < 2:
        return Mean(value=mean, low=None, high=None)
    reach = student_quantile(num - 1) * float(values_P.std(ddof=1)) / math.sqrt(num)
    return Mean(value=mean, low=mean - reach, high=mean + reach)


def write(folder: Path, curves: Mapping[str, Curve]) -> None:
    """Writes `over_optimization.json` into a run's folder, where the report finds it. Raises StorageError."""
    content = {name: asdict(one) for name, one in curves.items()}
    write_atomic(folder / FILE, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _require(proxy_PN: Sequence[Floats], gold_PN: Sequence[Floats], ns: Sequence[int]) -> None:
    if not len(proxy_PN) or not ns or list(ns) != sorted(set(ns)) or min(ns) < 1:
        raise DataError("an over-optimisation curve needs questions, and ascending n from 1")
    for number, (proxy_N, gold_N) in enumerate(zip(proxy_PN, gold_PN, strict=True), 1):
        if len(proxy_N) < max(ns) or len(proxy_N) != len(gold_N):
            raise DataError(
                f"question {number} has {len(proxy_N)} scores and {len(gold_N)} of gold; best-of-{max(ns)} "
                "needs as many of both"
            )
        if not (np.isfinite(proxy_N).all() and np.isfinite(gold_N).all()):
            raise DataError(f"question {number} has a score that is not finite; leave the response out")
