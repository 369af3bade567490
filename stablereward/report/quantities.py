"""Numbers as a reader wants them: shares in per cent, times in the unit that fits."""

import math
from typing import TypeGuard

MAX_VALUE = 1e300
SPACE = "\N{NO-BREAK SPACE}"
TOGETHER = "\N{WORD JOINER}"
"""Behind a dash: the line does not break there."""
MINUS = "\N{MINUS SIGN}"


def is_number(value: object) -> TypeGuard[float]:
    """Whether a metric's value can be drawn."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MAX_VALUE


def number(value: float) -> str:
    """Three significant digits; large numbers grouped, very small ones in powers of ten."""
    if not math.isfinite(value):
        return "not finite"
    size = abs(value)
    if value == 0 or size >= 999.5:
        text = f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    elif size < 1e-3:
        mantissa, exponent = f"{value:.1e}".split("e")
        text = f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    else:
        text = f"{value:.3g}"
    return text.replace("-", MINUS)


def percent(share: float | None, digits: int = 1) -> str:
    """A share of 1 in per cent; a dash where there is none."""
    if share is None or not math.isfinite(share):
        return "–"
    return f"{100 * share:.{digits}f}{SPACE}%".replace("-", MINUS)


def points(difference: float) -> str:
    """A difference of two shares in percentage points, with its sign."""
    return f"{100 * difference:+.1f}".replace("-", MINUS)


def in_unit(says: str, unit: str) -> str:
    """A sentence that also says in what unit its figures are."""
    name = {"%": "per cent"}.get(unit, unit)
    return (
        f"{says.removesuffix('.')}, in {name}." if says and unit else says or (f"In {name}." if unit else "")
    )


def duration(seconds: float) -> str:
    """Seconds as the two largest units that matter."""
    if seconds < 60:
        return f"{seconds:.1f}{SPACE}s" if seconds < 9.95 else f"{seconds:.0f}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{SPACE}min" + (f" {rest}{SPACE}s" if rest else "")
    hours, minutes = divmod(minutes, 60)
    return f"{hours}{SPACE}h" + (f" {minutes}{SPACE}min" if minutes else "")


def plural(count: int, noun: str) -> str:
    """`count` and the noun, with an s unless there is one of it."""
    return f"{count:,}{SPACE}{noun}{'' if count == 1 else 's'}".replace(",", "\N{NARROW NO-BREAK SPACE}")
