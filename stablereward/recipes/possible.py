"""Settings that would fail only after hours, or train nothing, are refused before anything is done."""

import math
from collections.abc import Mapping

from stablereward.errors import ConfigError


def require_counts(counts: Mapping[str, int]) -> None:
    """Raises ConfigError for a count below 1, by the name of its setting."""
    for name, count in counts.items():
        if count < 1:
            raise ConfigError(f"{name} must be at least 1, not {count}")


def require_shares(shares: Mapping[str, float]) -> None:
    """Raises ConfigError for a share outside 0 to 1."""
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ConfigError(f"{name} must lie between 0 and 1, not {share}")


def require_positive(values: Mapping[str, float]) -> None:
    """Raises ConfigError for what must be above 0 and finite."""
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise ConfigError(f"{name} must be above 0 and finite, not {value}")
