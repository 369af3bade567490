"""Pictures of results as plain SVG, without a script or a style sheet beside them."""

import math
from collections.abc import Mapping, Sequence
from html import escape

COLOURS = {"ours": "#1f77b4", "plain": "#999999", "alone": "#999999", "trl": "#d9822b"}
ROW, LEFT, BAR, RIGHT = 18, 70, 300, 120
WIDTH, HEIGHT, MARGIN = 360, 220, 44
Line = Sequence[tuple[float, float]]


def bars(charts: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """By title and side seconds, one bar a side; a thin line goes from the least to the most."""
    parts, y = [], 0
    for title, values in charts.items():
        y += ROW + 6
        parts.append(_text(4, y, title, weight="bold"))
        top = max(value["max"] for value in values.values())
        for side, value in values.items():
            y += ROW
            width, low, high = (value[k] / top * BAR for k in ("median", "min", "max"))
            box = f'x="{LEFT}" y="{y - 11}" width="{width:.1f}" height="12"'
            parts.append(_text(4, y, side))
            parts.append(f'<rect {box} fill="{COLOURS[side]}"/>')
            parts.append(_rule(LEFT + low, LEFT + high, y - 5))
            parts.append(_text(LEFT + BAR + 6, y, f"{value['median']:.3g} s"))
    return _svg(LEFT + BAR + RIGHT, y + 12, parts)


def curves(charts: Mapping[str, Mapping[str, Line]]) -> str:
    """By title and side a line through (x, y) points, all positive; both axes are logarithmic."""
    parts: list[str] = []
    for number, (title, lines) in enumerate(charts.items()):
        parts += _curves(title, lines, number * HEIGHT)
    return _svg(WIDTH + RIGHT, HEIGHT * len(charts) + 8, parts)


def _curves(title: str, lines: Mapping[str, Line], top: int) -> list[str]:
    xs = [x for line in lines.values() for x, _ in line]
    ys = [y for line in lines.values() for _, y in line]
    bottom, ceiling = top + HEIGHT - 34, top + 34
    parts = [_text(4, top + 18, title, weight="bold"), _rule(MARGIN, WIDTH, bottom)]
    parts += [_text(_place(x, xs, MARGIN, WIDTH) - 6, bottom + 14, f"{x:g}") for x in sorted(set(xs))]
    parts += [_text(2, _place(y, ys, bottom, ceiling), f"{y:.2g}") for y in (min(ys), max(ys))]
    for side, line in lines.items():
        spots = [(_place(x, xs, MARGIN, WIDTH), _place(y, ys, bottom, ceiling)) for x, y in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[side]}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLOURS[side]}"/>' for x, y in spots]
        parts.append(_text(spots[-1][0] + 8, spots[-1][1] + 4, side))
    return parts


def _place(value: float, values: Sequence[float], start: float, end: float) -> float:
    low, high = math.log(min(values)), math.log(max(values))
    return start + (end - start) * ((math.log(value) - low) / (high - low) if high > low else 0.5)


def _text(x: float, y: float, text: str, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-weight="{weight}">{escape(text)}</text>'


def _rule(left: float, right: float, y: float) -> str:
    return f'<line x1="{left:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{y:.1f}" stroke="black"/>'


def _svg(width: int, height: int, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
    head += 'font-family="sans-serif" font-size="12">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>"]) + "\n"
