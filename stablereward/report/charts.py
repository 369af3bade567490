"""Line charts as inline SVG: faint raw points, a smoothed line over them, few and round ticks."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stablereward.report.axes import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Frame,
    Mark,
    across,
    draw_marks,
    path_of,
    plot,
    scaled,
)
from stablereward.report.axes import ticks as ticks
from stablereward.report.markup import Html, el, join
from stablereward.report.quantities import SPACE, number

MAX_VERTICES = 240
SPARSE = 40
"""Up to this many points are drawn as dots with a line through them, unsmoothed."""
COLOURS = 8
"""How many colours the page has; more series than that share them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A curve; `xs` ascend, `xs` and `ys` have equal length, all finite. Series may share a colour."""

    name: str
    colour: int
    xs: Sequence[float]
    ys: Sequence[float]


def smooth(values: Sequence[float]) -> list[float]:
    """Mean over a tenth of the values around each; few values stay as they are."""
    if len(values) <= SPARSE:
        return list(values)
    sums = [0.0]
    for value in values:
        sums.append(sums[-1] + value)
    reach = len(values) // 20
    windows = ((max(i - reach, 0), min(i + reach + 1, len(values))) for i in range(len(values)))
    return [(sums[end] - sums[start]) / (end - start) for start, end in windows]


def reduce_extremes(xs: Sequence[float], ys: Sequence[float], limit: int) -> list[tuple[float, float]]:
    """At most `limit` of the points: the lowest and the highest of each stretch, so no spike is lost."""
    if len(xs) <= limit:
        return list(zip(xs, ys, strict=True))
    stretches = limit // 2
    kept: list[int] = []
    for i in range(stretches):
        window = range(i * len(xs) // stretches, (i + 1) * len(xs) // stretches)
        kept += sorted({min(window, key=ys.__getitem__), max(window, key=ys.__getitem__)})
    return [(xs[i], ys[i]) for i in kept]


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    unit: str = "",
    x_label: str = "update",
    reference: tuple[float, str] | None = None,
    boundaries: Sequence[float] = (),
    marks: Sequence[Mark] = (),
    bend: float = 0.0,
) -> Html:
    """A chart of one or more series, none of them empty.

    `reference` is a horizontal line with its label; `boundaries` are x values where a stage
    begins; `marks` are drawn where they lie inside. Values are in `unit` already. With a `bend`
    (see `bend_of`) the axis is logarithmic beyond it.
    """
    ys = [y for one in series for y in one.ys] + ([reference[0]] if reference else [])
    xs = [x for one in series for x in one.xs]
    y0, y1, y_ticks = scaled(min(ys), max(ys), bend)
    frame = Frame(*across(min(xs), max(xs)), y0, y1, bend)
    description = "; ".join(f"{one.name} {number(one.ys[0])} → {number(one.ys[-1])}" for one in series)
    return plot(
        frame,
        y_ticks,
        join(_boundary(frame, x) for x in boundaries),
        _reference(frame, *reference) if reference else None,
        join(_curve(frame, one, unit, title) for one in series),
        draw_marks(frame, marks),
        label=f"{title}: {description}",
        unit=unit,
        x_label=x_label,
    )


def sparkline(values: Sequence[float]) -> Html:
    """A curve without axes, for a table cell."""
    kept = reduce_extremes(range(len(values)), values, 90)
    low, high = min(values), max(values)
    span, last = (high - low) or 1.0, max(len(values) - 1, 1)
    path = path_of([(2 + x / last * 116, 22 - (y - low) / span * 18) for x, y in kept])
    return el("svg", el("path", d=path), cls="spark", viewBox="0 0 120 26", aria_hidden="true")


def _reference(frame: Frame, value: float, label: str) -> Html:
    _, y = frame.point(frame.x0, value)
    line = el("line", x1=LEFT, x2=WIDTH - RIGHT, y1=f"{y:.1f}", y2=f"{y:.1f}", cls="reference")
    return join([line, el("text", label, x=WIDTH - RIGHT, y=f"{y - 4:.1f}", cls="end")])


def _boundary(frame: Frame, value: float) -> Html:
    x, _ = frame.point(value, frame.y0)
    return el("line", x1=f"{x:.1f}", x2=f"{x:.1f}", y1=TOP, y2=HEIGHT - BOTTOM, cls="boundary")


def _curve(frame: Frame, series: Series, unit: str, title: str) -> Html:
    sparse = len(series.xs) <= SPARSE
    raw = [frame.point(x, y) for x, y in reduce_extremes(series.xs, series.ys, MAX_VERTICES)]
    ys = [frame.straight(y) for y in smooth([frame.bent(y) for y in series.ys])]
    step = math.ceil(len(ys) / MAX_VERTICES)
    kept = [*range(0, len(ys) - 1, step), len(ys) - 1]
    line = [frame.point(series.xs[i], ys[i]) for i in kept]
    hover = f"{title}: {series.name}, last {number(ys[-1])}{SPACE}{unit}".rstrip()
    return el(
        "g",
        None if sparse else el("path", d=path_of(raw), cls="raw"),
        el("path", el("title", hover), d=path_of(line), cls="line", data_name=series.name),
        join(el("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=2.6) for x, y in line) if sparse else None,
        cls=f"c{series.colour % COLOURS}",
    )
