"""Where judges go wrong: by category, by the position of the better response, by how sure they are."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from stablereward.evaluation.calibration import Bin, bins, expected_error
from stablereward.evaluation.rules import right_shown_first, right_shown_later
from stablereward.report.axes import Frame, path_of, plot
from stablereward.report.markup import Html, el, join
from stablereward.report.quantities import is_number, percent, plural
from stablereward.report.results import role
from stablereward.report.run import Result, Run
from stablereward.types import Row

MAX_CATEGORIES = 40
MAX_COLUMNS = 4
MAX_CALIBRATIONS = 6
ALL = "all categories"
KINDS = {
    "wrong": ("bad", "wrong in every order"),
    "order": ("warn", "right in one order only"),
    "none": ("soft", "no verdict in some order"),
}
"""For each kind of mistake its colour and its meaning; a pair counts once, under the last that fits."""
SHARES = (0.0, 25.0, 50.0, 75.0, 100.0)
LARGEST_DOT = 7.0


def mistakes_section(run: Run) -> Html | None:
    """The pictures that the votes of a run allow; None where there are none."""
    parts = [_by_category(run), _by_position(run), _calibrations(run)]
    found = [part for part in parts if part is not None]
    return join(found) if found else None


def kind_of(row: Row) -> str:
    """ "wrong", "order", "none", or empty for a pair that every order got right."""
    if any(vote.choice is None for vote in row.votes):
        return "none"
    right = sum(vote.choice == row.best for vote in row.votes)
    return "wrong" if right == 0 else "order" if right < len(row.votes) else ""


def first_shown(rows: Sequence[Row]) -> float | None:
    """The share of opinions with a verdict that chose the response that stood first."""
    opinions = [one for row in rows for vote in row.votes for one in vote.judgements]
    return sum(one.choice == one.order[0] for one in opinions) / len(opinions) if opinions else None


def _name(judge: str, votes: int) -> str:
    return judge if votes == 1 else f"{judge}, {votes} votes"


def _is_control(run: Run, judge: str) -> bool:
    stated = next((one for one in run.results if one.judge == judge), Result(judge=judge))
    return role(stated) == "control"


def _by_category(run: Run) -> Html | None:
    """A row for each category, a column for each judge that is no control."""
    columns = [(_name(*key), rows) for key, rows in run.judged.items() if not _is_control(run, key[0])]
    columns = columns[:MAX_COLUMNS]
    if not columns:
        return None
    found = Counter(row.category for _, rows in columns for row in rows if row.category)
    names = [ALL, *sorted(found)[:MAX_CATEGORIES]] if len(found) > 1 else [ALL]
    tables = [
        {name: [row for row in rows if name in (ALL, row.category)] for name in names} for _, rows in columns
    ]
    shares = [_share_wrong(rows) for table in tables for rows in table.values() if rows]
    scale = next((top for top in (0.1, 0.25, 0.5) if max(shares) <= top), 1.0)
    head = el("tr", el("th", "Category"), *(el("th", judge) for judge, _ in columns))
    rows = (
        el(
            "tr",
            el("th", name, scope="row"),
            *(_kinds(judge, table[name], scale) for (judge, _), table in zip(columns, tables, strict=True)),
        )
        for name in names
    )
    more = len(found) - MAX_CATEGORIES
    keys = (
        el("span", el("i", cls="swatch solid", style=f"--c:var(--{colour})"), meaning)
        for colour, meaning in KINDS.values()
    )
    note = f"Share of pairs that a judge did not get right. A full bar is {percent(scale, 0)}."
    return join(
        [
            el("h3", "By category", cls="quantity"),
            el("p", note, f" {plural(more, 'more category')} not shown." if more > 0 else None, cls="muted"),
            el("p", *keys, cls="legend"),
            _table(head, rows, "mistakes"),
        ]
    )


def _table(head: Html, rows: Iterable[Html], cls: str) -> Html:
    table = el("table", el("thead", head), el("tbody", *rows), cls=f"results standings {cls}")
    return el("div", table, cls="scroll")


def _share_wrong(rows: Sequence[Row]) -> float:
    return sum(bool(kind_of(row)) for row in rows) / len(rows)


def _kinds(judge: str, rows: Sequence[Row], scale: float) -> Html:
    """One judge's mistakes in one category: the share, its parts, and a divided bar."""
    if not rows:
        return el("td", "–", data_label=judge)
    counts = Counter(map(kind_of, rows))
    shares = {kind: counts[kind] / len(rows) for kind in KINDS if counts[kind]}
    parts = (
        el(
            "i",
            style=f"width:{100 * share / scale:.2f}%;--c:var(--{KINDS[kind][0]})",
            title=f"{KINDS[kind][1]}: {percent(share)}",
        )
        for kind, share in shares.items()
    )
    told = "; ".join(f"{KINDS[kind][1]} {percent(share)}" for kind, share in shares.items())
    return el(
        "td",
        el("b", percent(_share_wrong(rows))),
        " ",
        el("small", f"of {plural(len(rows), 'pair')}"),
        el("div", *parts, cls="parts-bar", role="img", aria_label=told or "no mistake"),
        data_label=judge,
    )


def _by_position(run: Run) -> Html | None:
    """Accuracy by where the better response stood; the way between the two is the bias."""
    rows = []
    for key, judged in run.judged.items():
        first = _mean([points for row in judged for points in right_shown_first(row)])
        later = _mean([points for row in judged for points in right_shown_later(row)])
        chosen = first_shown(judged)
        if first is not None and later is not None and chosen is not None:
            figures = (("Better first", first), ("Better later", later), ("Chose the first", chosen))
            rows.append(
                el(
                    "tr",
                    el("th", _name(*key), scope="row"),
                    el("td", _dumbbell(first, later), cls="dumbbell-cell"),
                    *(el("td", percent(share), data_label=label) for label, share in figures),
                    cls="control" if _is_control(run, key[0]) else None,
                )
            )
    if not rows:
        return None
    titles = (
        "Judge",
        "Right, by place of the better response",
        "Better first",
        "Better later",
        "Chose the first",
    )
    says = (
        "How often a judge is right where the better response stands first (full dot) and where it stands "
        "later (open dot): a judge without a bias has both in one place. The last column is how often an "
        "opinion is for the response shown first; half of the time is fair."
    )
    return join(
        [
            el("h3", "By position", cls="quantity"),
            el("p", says, cls="muted"),
            _table(el("tr", *(el("th", title) for title in titles)), rows, "positions"),
        ]
    )


def _dumbbell(first: float, later: float) -> Html:
    low, high = sorted((first, later))
    said = f"right {percent(first)} with the better response first, {percent(later)} with it later"
    return el(
        "div",
        el("i", cls="chance", style="left:50%"),
        el("i", cls="way", style=f"left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%"),
        el("i", cls="dot later", style=f"left:{100 * later:.1f}%"),
        el("i", cls="dot", style=f"left:{100 * first:.1f}%"),
        cls="dumbbell",
        role="img",
        aria_label=said,
        title=said,
    )


def _calibrations(run: Run) -> Html | None:
    """A picture for each judge that has several opinions of a pair in one order."""
    figures = [
        reliability(found, _name(*key))
        for key, rows in run.judged.items()
        if key[1] > 1 and len(found := bins(rows)) > 1
    ]
    if not figures:
        return None
    says = (
        "How many votes are right by how many opinions stand behind them, both orders together. On the "
        "dashed line a vote is as often right as it is sure; below it the judge is too sure of itself."
    )
    shown = el("div", *figures[:MAX_CALIBRATIONS], cls="charts")
    return join([el("h3", "Calibration", cls="quantity"), el("p", says, cls="muted"), shown])


def reliability(filled: Sequence[Bin], title: str) -> Html:
    """The reliability diagram of a judge: dots as large as their share of the votes, and their figures."""
    left = min(50.0, 100 * min(one.low for one in filled))
    frame = Frame(left, 100.0, 0.0, 100.0)
    most = max(one.n for one in filled)
    at = [(frame.point(100 * one.confidence, 100 * one.accuracy), one) for one in filled]
    told = [
        f"{100 * one.low:.0f}–{percent(one.high, 0)} sure: {percent(one.accuracy)} right of {one.n}"
        for one in filled
    ]
    dots = (
        el("circle", el("title", text), cx=f"{x:.1f}", cy=f"{y:.1f}", r=f"{_radius(one.n, most):.1f}")
        for ((x, y), one), text in zip(at, told, strict=True)
    )
    error = expected_error(filled)
    drawing = plot(
        frame,
        SHARES,
        el("path", d=path_of([frame.point(left, left), frame.point(100, 100)]), cls="diagonal"),
        el("g", el("path", d=path_of([xy for xy, _ in at]), cls="line", data_name="right"), *dots, cls="c1"),
        label=f"Reliability of {title}: {'; '.join(told)}",
        unit="% right",
        x_label="confidence",
    )
    return el(
        "figure",
        el(
            "figcaption",
            el("b", title),
            el("output", f"error {percent(error)}" if is_number(error) else ""),
            el("p", "Per cent right by confidence in per cent; larger dots are more votes."),
        ),
        drawing,
        el("ul", *(el("li", text) for text in told), cls="bins"),
    )


def _radius(count: int, most: int) -> float:
    """Areas are as counts; the smallest dot can still be seen."""
    return max(LARGEST_DOT * math.sqrt(count / most), 2.2)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
