"""The lab's pictures as inline SVG, on the report's axes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stablereward.lab.filter_share import BATCH, RULES, crossing, measured
from stablereward.lab.study import Noisy, Study
from stablereward.report.axes import HEIGHT, LEFT, WIDTH, Frame, across, path_of, plot, ticks
from stablereward.report.charts import Series, line_chart
from stablereward.report.markup import Html, el, join
from stablereward.report.quantities import number, percent

Curve = Mapping[float, float]
"""A metric's values by update."""

_STANDALONE = """
svg { font: 11px system-ui, sans-serif; background: #fff; } text { fill: #62666f; }
path { fill: none; stroke: var(--c); } circle { fill: var(--c); } .line { stroke-width: 1.5; }
.line.arm { stroke-width: 2; } .other { stroke: #bcbcb6; stroke-width: 1; }
.head { fill: #191b1f; font-weight: 600; } .title { fill: #191b1f; font-size: 13px; font-weight: 600; }
.grid { stroke: #e4e4df; } .end { text-anchor: end; } .mid { text-anchor: middle; }
.c0 { --c: #0c8577; } .c1 { --c: #2f55c4; } .c2 { --c: #a8378f; } .c3 { --c: #d0680a; }
.c4 { --c: #6a4bcf; } .c5 { --c: #5b8a00; } .c6 { --c: #b03a2e; } .c7 { --c: #4d6b80; }
"""
_KEY_HEIGHT = 15
ACROSS, HEAD = 3, 24
"""Small charts in a row, and the height of their titles."""
ORDER = 5.0
"""An arm whose values are so many times those of the first would flatten all others."""


@dataclass(frozen=True, slots=True)
class Band:
    """A metric over the updates: the mean over seeds, the smallest and the largest."""

    updates: Sequence[float]
    mean: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def band(curves: Sequence[Curve]) -> Band:
    """Over the seeds that got as far as each update. There is at least one value."""
    updates = sorted({update for curve in curves for update in curve})
    found = [[curve[update] for curve in curves if update in curve] for update in updates]
    return Band(
        updates, [sum(values) / len(values) for values in found], [*map(min, found)], [*map(max, found)]
    )


def learning_charts(bands: Mapping[str, Band], *, title: str, colours: Mapping[str, int]) -> Html:
    """One small chart of shares an arm, all on the same axes."""
    last = max(band.updates[-1] for band in bands.values())
    frame = Frame(*across(1, last), 0.0, 100.0)
    return el(
        "div",
        *(
            el(
                "figure",
                el("figcaption", el("b", arm), el("output", percent(band.mean[-1]))),
                _band_chart(frame, band, f"{title}, {arm}", colours[arm]),
            )
            for arm, band in bands.items()
        ),
        cls="charts multiples",
    )


def _band_chart(frame: Frame, band: Band, label: str, colour: int) -> Html:
    def points(values: Sequence[float]) -> list[tuple[float, float]]:
        return [frame.point(x, 100 * y) for x, y in zip(band.updates, values, strict=True)]

    outline = path_of(points(band.high) + points(band.low)[::-1]) + "Z"
    return plot(
        frame,
        ticks(0.0, 100.0),
        el(
            "g",
            el("path", d=outline, cls="band most", data_name="largest|smallest"),
            el("path", d=path_of(points(band.mean)), cls="line", data_name="mean"),
            cls=f"c{colour}",
        ),
        label=f"{label}: mean {number(100 * band.mean[0])} → {number(100 * band.mean[-1])}",
        unit="%",
    )


def noise_charts(study: Study) -> Html | None:
    """Accuracy and consistent analyses against the share of exchanged replies, a line a weight."""
    found = study.noisy()
    if not found:
        return None
    figures = [
        _noise_chart("Held-out accuracy", {one: one.accuracy.value for one in found}),
        _noise_chart(
            "Consistent analyses",
            {one: one.consistent.value for one in found if one.consistent is not None},
        ),
    ]
    return el("div", *(figure for figure in figures if figure is not None), cls="charts")


def _noise_chart(title: str, values: Mapping[Noisy, float]) -> Html | None:
    """A weight of 0 is a horizontal line: the referee's replies cannot matter."""
    weights: dict[float, list[tuple[float, float]]] = {}
    for one, value in values.items():
        weights.setdefault(one.consistency_weight, []).append((100 * one.flip, 100 * value))
    without = weights.pop(0.0, None)
    if not weights:
        return None
    series = [
        Series(name=f"weight {weight:g}", colour=i, xs=[x for x, _ in line], ys=[y for _, y in line])
        for i, (weight, line) in enumerate(weights.items())
    ]
    chart = line_chart(
        series,
        title=title,
        unit="%",
        x_label="% exchanged",
        reference=(without[0][1], "weight 0") if without else None,
    )
    keys = (el("span", one.name, cls=f"key c{one.colour}") for one in series)
    return el("figure", el("figcaption", el("b", title)), chart, el("div", *keys, cls="keys"))


def filter_chart() -> Html:
    """The share of zeroed advantages against batch accuracy: lines are theory, dots are measured."""
    frame = Frame(50.0, 100.0, 0.0, 35.0)
    drawn = []
    # The paper's rule, which zeroes less, is drawn over the other.
    for i, rule in reversed(list(enumerate(RULES))):
        grid = [k / 1000 for k in range(500, 1001)]
        line = path_of([frame.point(100 * p, 100 * rule.theory(p)) for p in grid])
        dots = (
            frame.point(100 * right / BATCH, 100 * measured(rule, right))
            for right in range(BATCH // 2, BATCH + 1)
        )
        name = f"{rule.name}: from {percent(crossing(rule.theory))}"
        drawn.append(
            el(
                "g",
                el("path", d=line, cls="line", data_name=rule.name),
                join(el("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=1.6) for x, y in dots),
                *_key(frame, i, name),
                cls=f"c{i}",
            )
        )
    return plot(
        frame,
        ticks(0.0, 35.0),
        *drawn,
        label="Share of advantages zeroed against batch accuracy, rewards 2.0 and 0.5",
        unit="%",
        x_label="% right",
    )


def arm_charts(curves: Mapping[str, Curve], *, title: str) -> str:
    """The curves of all arms as one SVG file: a small chart an arm, with all comparable others in grey.

    No arm is told by its colour alone. All have one axis, but for an arm whose values are of another order
    than the first's: it has an axis of its own, which its title says.
    """
    first, *_ = curves.values()
    together = {arm for arm, curve in curves.items() if _size(curve) < ORDER * _size(first) or curve is first}
    drawn = []
    for place, (arm, curve) in enumerate(curves.items()):
        shown = [curves[one] for one in curves if one in together] if arm in together else [curve]
        ys = [y for one in shown for y in one.values()]
        y_ticks = ticks(min(ys), max(ys))
        xs = [x for one in shown for x in one]
        frame = Frame(*across(min(xs), max(xs)), y_ticks[0], y_ticks[-1])
        behind = (el("path", d=_path(frame, one), cls="other") for one in shown if one is not curve)
        line = el("g", el("path", d=_path(frame, curve), cls="line arm"), cls="c1")
        chart = plot(frame, y_ticks, *behind, line, label=f"{title}, {arm}")
        head = f"{arm} (own axis)" if arm not in together else arm
        last = number([*curve.values()][-1])
        x, y = place % ACROSS * WIDTH, HEAD + place // ACROSS * (HEIGHT + HEAD)
        drawn.append(
            el(
                "g",
                el("text", f"{head}: {last}", x=LEFT, y=0, cls="head"),
                _nested(chart),
                transform=f"translate({x} {y + HEAD - 4})",
            )
        )
    rows = -(-len(curves) // ACROSS)
    width, height = WIDTH * min(ACROSS, len(curves)), HEAD + rows * (HEIGHT + HEAD)
    heading = el("text", title, x=LEFT, y=HEAD - 6, cls="title")
    style = Html(f"<style>{_STANDALONE}</style>")
    whole = el(
        "svg", style, heading, *drawn, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} {height}",
        role="img", aria_label=title,
    )  # fmt: skip
    return f"{whole}\n"


def _nested(chart: Html) -> Html:
    """A chart of its own size inside another."""
    return Html(chart.replace("<svg", f'<svg width="{WIDTH}" height="{HEIGHT}"', 1))


def _size(curve: Curve) -> float:
    return max(abs(value) for value in curve.values())


def _path(frame: Frame, curve: Curve) -> str:
    return path_of([frame.point(x, y) for x, y in sorted(curve.items())])


def _key(frame: Frame, place: int, name: str) -> tuple[Html, Html]:
    x, y = frame.point(74.0, 33.0 - 3.5 * place)
    return el("circle", cx=f"{x:.1f}", cy=f"{y - 3.5:.1f}", r=4), el(
        "text", name, x=f"{x + 9:.1f}", y=f"{y:.1f}"
    )


def standalone(chart: Html, keys: Sequence[tuple[str, int]] = ()) -> str:
    """A chart as an SVG file of its own; `keys` are names and colours of its lines, listed below it."""
    head, _, rest = chart.partition(">")
    opened = head.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    height = HEIGHT + _KEY_HEIGHT * len(keys)
    opened = opened.replace(f"0 0 {WIDTH} {HEIGHT}", f"0 0 {WIDTH} {height}")
    listed = join(
        el(
            "g",
            el("circle", cx=LEFT + 4, cy=HEIGHT + _KEY_HEIGHT * place + 4, r=4),
            el("text", name, x=LEFT + 14, y=HEIGHT + _KEY_HEIGHT * place + 8),
            cls=f"c{colour}",
        )
        for place, (name, colour) in enumerate(keys)
    )
    return f"{opened}><style>{_STANDALONE}</style>{rest.removesuffix('</svg>')}{listed}</svg>\n"
