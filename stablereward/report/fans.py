"""Fan charts as inline SVG: how a quantity is spread at each update, as bands around its median."""

from collections.abc import Sequence

from stablereward.report.axes import (
    Frame,
    Mark,
    across,
    bend_of,
    draw_marks,
    path_of,
    plot,
    scaled,
)
from stablereward.report.markup import Html, el, join
from stablereward.report.quantities import number
from stablereward.report.recorded import MEDIAN, Spread

BANDS = (("all", 0, 8, "smallest", "largest"), ("most", 2, 6, "5 %", "95 %"), ("half", 3, 5, "25 %", "75 %"))
"""Class, quantiles and their names, the widest first."""
ROUNDING = 1e-12
"""What is smaller than this share of the largest value is shown as zero."""
READ = ("smallest", "median", "largest", "5 %", "mean", "95 %")


def frame_of(fans: Sequence[Sequence[Spread]], *, scale: float = 1.0) -> tuple[Frame, list[float]]:
    """One frame for several fans, none of them empty, so that they can be compared; and its ticks."""
    spreads = [spread for fan in fans for spread in fan]
    ends = [scale * end for spread in spreads for end in (spread.quantiles[0], spread.quantiles[-1])]
    inner = [scale * value for spread in spreads for value in (spread.quantiles[2], spread.quantiles[6])]
    bend = bend_of([*inner * 10, *ends]) if any(inner) else bend_of(ends)
    y0, y1, ticks = scaled(min(ends), max(ends), bend)
    updates = [spread.update for spread in spreads]
    return Frame(*across(min(updates), max(updates)), y0, y1, bend), ticks


def fan_chart(
    spreads: Sequence[Spread],
    *,
    title: str,
    unit: str = "",
    colour: str = "c1",
    scale: float = 1.0,
    frame: tuple[Frame, list[float]] | None = None,
    marks: Sequence[Mark] = (),
) -> Html:
    """Bands from the smallest to the largest value, 5 to 95 % and 25 to 75 %; the median and the mean.

    There is at least one spread; `scale` takes values to `unit`; `frame` is that of `frame_of`.
    """
    shown, ticks = frame or frame_of([spreads], scale=scale)
    xs = [spread.update for spread in spreads]

    def points(values: Sequence[float]) -> list[tuple[float, float]]:
        return [shown.point(x, scale * y) for x, y in zip(xs, values, strict=True)]

    def band(name: str, low: int, high: int, low_name: str, high_name: str) -> Html:
        upper = points([spread.quantiles[high] for spread in spreads])
        lower = points([spread.quantiles[low] for spread in spreads])
        outline = path_of(upper + lower[::-1]) + "Z"
        return el("path", d=outline, cls=f"band {name}", data_name=f"{high_name}|{low_name}")

    def line(name: str, values: Sequence[float]) -> Html:
        return el("path", d=path_of(points(values)), cls=f"line {name}", data_name=name)

    middle = [spread.quantiles[MEDIAN] for spread in spreads]
    return plot(
        shown,
        ticks,
        el(
            "g",
            join(band(*one) for one in BANDS),
            line("mean", [spread.mean for spread in spreads]),
            line("median", middle),
            cls=colour,
        ),
        draw_marks(shown, marks),
        label=f"{title}: median {number(scale * middle[0])} → {number(scale * middle[-1])}",
        unit=unit,
    )


def readout(spread: Spread, *, scale: float = 1.0) -> Html:
    """The figures of one update; the page's script shows those under the pointer in their place."""
    values = {"median": spread.quantiles[MEDIAN], "mean": spread.mean}
    for _, first, last, low, high in BANDS:
        values |= {low: spread.quantiles[first], high: spread.quantiles[last]}
    rounding = ROUNDING * max(map(abs, values.values()))
    return el(
        "div",
        *(
            el(
                "span",
                name,
                " ",
                el("b", number(scale * values[name] if abs(values[name]) > rounding else 0.0)),
                cls="value",
                data_name=name,
            )
            for name in READ
        ),
        cls="values",
    )
