"""Ranges of settings: stated in the type of a field, checked when the settings are made.

    num_updates: Count = 375
    betas: tuple[Decay, Decay] = (0.9, 0.95)

A settings class calls `require_ranges(self)` in its `__post_init__`, so that a value out of range cannot
come to be, whether from a file, `--set` or Python.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from stablereward.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Range:
    """Finite numbers from `low` to `high`; with `above` or `below` without that end itself."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False

    def broken(self, value: float) -> str:
        """The bound that the value breaks, such as "at least 1"; empty where it breaks none."""
        # Not math.isfinite, which fails for whole numbers beyond those of float.
        if not -math.inf < value < math.inf:
            return "a finite number"
        if value < self.low or (self.above and value == self.low):
            return self._lower()
        if value > self.high or (self.below and value == self.high):
            return self._upper()
        return ""

    def __str__(self) -> str:
        ends = (self._lower() if self.low > -math.inf else "", self._upper() if self.high < math.inf else "")
        return " and ".join(filter(None, ends)) or "a finite number"

    def _lower(self) -> str:
        return f"{'above' if self.above else 'at least'} {self.low}"

    def _upper(self) -> str:
        return f"{'below' if self.below else 'at most'} {self.high}"


LARGE = 1_000_000_000
"""The end of a number that has no other: float32 holds it, and a product of four."""

Count = Annotated[int, Range(1)]
Size = Annotated[int, Range(1, 1_000_000)]
"""A count of what is in memory at once."""
Number = Annotated[int, Range(0)]
Proportion = Annotated[float, Range(0, 1)]
Decay = Annotated[float, Range(0, 1, below=True)]
Positive = Annotated[float, Range(0, LARGE, above=True)]
NotNegative = Annotated[float, Range(0, LARGE)]
Finite = Annotated[float, Range(-LARGE, LARGE)]


def require_ranges(settings: Any) -> None:
    """Raises ConfigError, which begins with the name of the field, for a value out of its range."""
    cls: type = type(settings)
    for name, hint in _hints(cls).items():
        for value, allowed in _bounded(getattr(settings, name), hint):
            if broken := allowed.broken(value):
                raise ConfigError(f"{name} must be {broken}, not {value}")


def ranges(cls: type) -> dict[str, Range]:
    """The ranges of a class's numbers by field; of a tuple that of its first item."""
    found = {name: next(_stated(hint), None) for name, hint in _hints(cls).items()}
    return {name: allowed for name, allowed in found.items() if allowed is not None}


def _bounded(value: Any, hint: Any) -> Iterator[tuple[float, Range]]:
    """The numbers in a value that have a range, each with it."""
    if value is None:
        return
    if get_origin(hint) is Annotated:
        yield from ((value, meta) for meta in hint.__metadata__ if isinstance(meta, Range))
    elif get_origin(hint) is tuple:
        kinds = get_args(hint)
        kinds = kinds[:1] * len(value) if kinds[-1] is Ellipsis else kinds
        for item, kind in zip(value, kinds, strict=True):
            yield from _bounded(item, kind)
    else:
        for member in get_args(hint):
            yield from _bounded(value, member)


def _stated(hint: Any) -> Iterator[Range]:
    if get_origin(hint) is Annotated:
        yield from (meta for meta in hint.__metadata__ if isinstance(meta, Range))
    else:
        for member in get_args(hint):
            yield from _stated(member)


@cache
def _hints(cls: type) -> dict[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in fields(cls)}
