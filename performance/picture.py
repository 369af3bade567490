"""Pictures of results as plain SVG, without a script or a style sheet beside them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = {"ours": "#1f77b4", "plain": "#999999", "trl": "#d9822b"}
OTHER = "#555555"
ROW, LEFT, BAR, RIGHT = 18, 70, 300, 120
WIDTH, HEIGHT, MARGIN = 360, 220, 44


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """One bar a side: `values[side]` has a median, a min and a max."""

    title: str
    unit: str
    values: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """One line a side through (x, y) points, all positive; both axes are logarithmic."""

    title: str
    x_label: str
    y_label: str
    points: Mapping[str, Sequence[tuple[float, float]]]


def bars(charts: Sequence[Bars]) -> str:
    """The charts one below the other; a thin line goes from the least to the most."""
    parts, y = [], 0
    for chart in charts:
        y += ROW + 6
        parts.append(_text(4, y, chart.title, weight="bold"))
        top = max(value["max"] for value in chart.values.values())
        for side, value in chart.values.items():
            y += ROW
            width, low, high = (value[k] / top * BAR for k in ("median", "min", "max"))
            parts.append(_text(4, y, side))
            parts.append(
                f'<rect x="{LEFT}" y="{y - 11}" width="{width:.1f}" height="12" fill="{_colour(side)}"/>'
            )
            parts.append(_line(LEFT + low, y - 5, LEFT + high, y - 5))
            parts.append(_text(LEFT + BAR + 6, y, f"{value['median']:.3g} {chart.unit}"))
    return _svg(LEFT + BAR + RIGHT, y + 12, parts)


def curves(charts: Sequence[Curves]) -> str:
    """The charts one below the other."""
    parts: list[str] = []
    for number, chart in enumerate(charts):
        parts += _curves(chart, number * HEIGHT)
    return _svg(WIDTH + RIGHT, HEIGHT * len(charts) + 8, parts)


def _curves(chart: Curves, top: int) -> list[str]:
    xs = [x for line in chart.points.values() for x, _ in line]
    ys = [y for line in chart.points.values() for _, y in line]

    def place(value: float, values: Sequence[float], start: float, end: float) -> float:
        low, high = math.log(min(values)), math.log(max(values))
        return start + (end - start) * ((math.log(value) - low) / (high - low) if high > low else 0.5)

    bottom, ceiling = top + HEIGHT - 34, top + 34
    parts = [_text(4, top + 18, chart.title, weight="bold"), _text(WIDTH - 40, bottom + 28, chart.x_label)]
    parts += [_text(place(x, xs, MARGIN, WIDTH) - 6, bottom + 14, f"{x:g}") for x in sorted(set(xs))]
    parts += [_text(2, place(y, ys, bottom, ceiling), f"{y:.2g}") for y in (min(ys), max(ys))]
    parts += [_text(2, top + HEIGHT - 6, chart.y_label), _line(MARGIN, bottom, WIDTH, bottom)]
    for side, line in chart.points.items():
        spots = [(place(x, xs, MARGIN, WIDTH), place(y, ys, bottom, ceiling)) for x, y in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{_colour(side)}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_colour(side)}"/>' for x, y in spots]
        parts.append(_text(spots[-1][0] + 8, spots[-1][1] + 4, side))
    return parts


def _colour(side: str) -> str:
    return COLOURS.get(side, OTHER)


def _text(x: float, y: float, text: str, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-weight="{weight}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="black"/>'


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
    head += 'font-family="sans-serif" font-size="12">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>"]) + "\n"
