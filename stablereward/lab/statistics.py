"""Means over few seeds, with Student's interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stablereward.errors import ConfigError
from stablereward.evaluation.intervals import student_quantile

EQUAL = 1e-12
"""Shares closer than this are equal but for rounding."""


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over `n` seeds. `low` and `high` are its 95 % interval.

    They are None where the seeds say nothing of how far seeds lie apart: from one, or where all are equal.
    """

    value: float
    low: float | None
    high: float | None
    n: int


def mean_of(values: Sequence[float], *, least: float = -math.inf, most: float = math.inf) -> Mean:
    """mean +- t s / sqrt(n), s with n - 1 in its divisor, cut to what the values can be.

    It assumes that seeds differ normally: few seeds cannot show how often a rare one fails.
    Raises ConfigError for no values.
    """
    n = len(values)
    if not n:
        raise ConfigError("0 seeds; the lab takes 1 or more")
    mean = math.fsum(values) / n
    if max(values) - min(values) < EQUAL:
        return Mean(mean, None, None, n)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    reach = student_quantile(n - 1) * deviation / math.sqrt(n)
    return Mean(mean, max(mean - reach, least), min(mean + reach, most), n)


def sign_of(mean: Mean) -> int:
    """1 where the whole interval is above 0, -1 where it is below, 0 where it reaches 0 or is unknown."""
    if mean.low is None or mean.high is None:
        return 0
    return int(mean.low > 0) - int(mean.high < 0)
