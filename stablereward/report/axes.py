"""The frame of a chart: round ticks, an axis that bends for outliers, marks of what happened."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stablereward.report.markup import Html, el, join
from stablereward.report.quantities import number

WIDTH, HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 42, 12, 12, 24
MAX_MARKS = 40
OUTLYING = 30.0
"""An axis bends where the largest value is this many times the ninetieth percentile."""
KINDS = ("warn", "info", "bad")
"""Kinds of marks, the most serious last and so on top."""
STEEPEST = 1e-12
"""The smallest bend, as a share of the largest value."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at `x`: a kind of KINDS, a name that many marks may share, a sentence."""

    x: float
    kind: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Frame:
    """The rectangle of values that a chart shows. With a `bend` its height grows with asinh(y / bend)."""

    x0: float
    x1: float
    y0: float
    y1: float
    bend: float = 0.0

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Values to SVG coordinates."""
        low, high = self.bent(self.y0), self.bent(self.y1)
        return (
            LEFT + (x - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT),
            HEIGHT - BOTTOM - (self.bent(y) - low) / (high - low) * (HEIGHT - TOP - BOTTOM),
        )

    def bent(self, y: float) -> float:
        """A value's height: linear near zero, logarithmic beyond the bend."""
        return math.asinh(y / self.bend) if self.bend else y

    def straight(self, height: float) -> float:
        """The value at a height: `bent` undone."""
        return self.bend * math.sinh(height) if self.bend else height


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About `count` round numbers (1, 2 or 5 times a power of ten) that enclose `low` to `high`."""
    if low == high:
        margin = abs(low) / 2 or 1.0
        low, high = low - margin, high + margin
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, last + 1)]


def bend_of(values: Sequence[float]) -> float:
    """The bend that keeps most values readable beside outliers; 0 where a linear axis does."""
    sizes = sorted(abs(value) for value in values)
    usual = sizes[int(0.9 * (len(sizes) - 1))]
    return max(usual, STEEPEST * sizes[-1]) if sizes[-1] > OUTLYING * usual > 0 else 0.0


def bent_ticks(low: float, high: float, bend: float) -> list[float]:
    """Zero and powers of ten from `low` to `high`, few enough to read, none beside zero."""
    largest = max(abs(low), abs(high))
    first, last = math.ceil(math.log10(2 * bend)), math.floor(math.log10(largest))
    step = max(1, math.ceil((last - first + 1) / (3 if low < 0 < high else 5)))
    powers = [10.0**power for power in range(last, first - 1, -step)]
    return [tick for tick in sorted([-power for power in powers] + [0.0] + powers) if low <= tick <= high]


def scaled(low: float, high: float, bend: float) -> tuple[float, float, list[float]]:
    """The ends of an axis that shows `low` to `high`, and its ticks; without a bend the ends are ticks."""
    if bend and (low or high):
        low, high = min(low, 0.0), max(high, 0.0)
        return low, high, bent_ticks(low, high, bend)
    made = ticks(0.0, 1.0) if low == high == 0 else ticks(low, high)
    return made[0], made[-1], made


def across(left: float, right: float) -> tuple[float, float]:
    """The ends of a horizontal axis, apart where only one value is shown."""
    return (left - 1, right + 1) if left == right else (left, right)


def plot(
    frame: Frame,
    y_ticks: Sequence[float],
    *drawn: Html | None,
    label: str,
    unit: str = "",
    x_label: str = "update",
) -> Html:
    """What is drawn in a frame, over its axes; the page's script reads values back from its attributes."""
    x_ticks = [tick for tick in ticks(frame.x0, frame.x1, 5) if frame.x0 <= tick <= frame.x1]
    return el(
        "svg",
        _grid(frame, x_ticks, y_ticks, x_label),
        *drawn,
        cls="chart",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=label,
        data_frame=f"{frame.x0:.8g} {frame.x1:.8g} {frame.bent(frame.y0):.8g} {frame.bent(frame.y1):.8g}",
        data_plot=f"{LEFT} {WIDTH - RIGHT} {HEIGHT - BOTTOM} {TOP}",
        data_bend=f"{frame.bend:.8g}" if frame.bend else None,
        data_unit=unit,
        data_x=x_label,
    )


def draw_marks(frame: Frame, marks: Sequence[Mark]) -> Html:
    """A line and a triangle for each mark inside the frame; marks of a kind that would touch become one."""
    groups: dict[tuple[str, int], list[Mark]] = {}
    for mark in sorted(marks, key=lambda mark: KINDS.index(mark.kind)):
        if frame.x0 <= mark.x <= frame.x1:
            groups.setdefault((mark.kind, round(frame.point(mark.x, frame.y0)[0] / 4)), []).append(mark)
    return join(_mark(frame, group) for group in list(groups.values())[-MAX_MARKS:])


def _mark(frame: Frame, group: Sequence[Mark]) -> Html:
    x, _ = frame.point(group[0].x, frame.y0)
    text = group[0].text + (f" (and {len(group) - 1} more here)" if len(group) > 1 else "")
    foot = HEIGHT - BOTTOM
    return el(
        "g",
        el("title", text),
        el("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=TOP, y2=foot) if group[0].kind != "warn" else None,
        el("path", d=f"M{x - 4.5:.1f} {foot + 7}L{x + 4.5:.1f} {foot + 7}L{x:.1f} {foot - 1}Z"),
        cls=f"event {group[0].kind}",
    )


def _grid(frame: Frame, x_ticks: Sequence[float], y_ticks: Sequence[float], x_label: str) -> Html:
    parts: list[Html] = []
    for tick in y_ticks:
        _, y = frame.point(frame.x0, tick)
        parts.append(el("line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", cls="grid"))
        label = number(tick if frame.bend else _clean(tick, y_ticks))
        parts.append(el("text", label, x=LEFT - 6, y=f"{y + 3.5:.1f}", cls="end"))
    for tick in x_ticks:
        x, _ = frame.point(tick, frame.y0)
        if x < WIDTH - RIGHT - 14 - 7 * len(x_label):
            parts.append(el("text", number(tick), x=f"{x:.1f}", y=HEIGHT - 7, cls="mid"))
    parts.append(el("text", x_label, x=WIDTH - RIGHT, y=HEIGHT - 7, cls="end"))
    return join(parts)


def _clean(tick: float, ticks: Sequence[float]) -> float:
    """A multiple of the step that floating point left a hair beside zero is zero."""
    return 0.0 if abs(tick) < 1e-9 * (ticks[-1] - ticks[0]) else tick


def path_of(points: Sequence[tuple[float, float]]) -> str:
    """SVG path data of a line through points."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
