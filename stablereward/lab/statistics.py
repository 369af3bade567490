"""Means over few seeds, with Student's interval."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stablereward.errors import ConfigError

_T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""The 97.5 % quantiles of Student's t with 1, 2, … degrees of freedom."""

MAX_SEEDS = len(_T_975) + 1


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over `n` seeds. `low` and `high` are its 95 % interval; None from one seed."""

    value: float
    low: float | None
    high: float | None
    n: int


def mean_of(values: Sequence[float]) -> Mean:
    """mean +- t s / sqrt(n), s with n - 1 in its divisor. It assumes that seeds differ normally.

    Raises ConfigError for no values and for more than the table of t has.
    """
    n = len(values)
    if not 1 <= n <= MAX_SEEDS:
        raise ConfigError(f"{n} seeds; the lab takes 1 to {MAX_SEEDS}")
    mean = math.fsum(values) / n
    if n == 1:
        return Mean(mean, None, None, 1)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    reach = _T_975[n - 2] * deviation / math.sqrt(n)
    return Mean(mean, mean - reach, mean + reach, n)


def sign_of(mean: Mean) -> int:
    """1 where the whole interval is above 0, -1 where it is below, 0 where it reaches 0 or is unknown."""
    if mean.low is None or mean.high is None:
        return 0
    return int(mean.low > 0) - int(mean.high < 0)
