"""How the recorded quantities were spread at each update, one fan each; several runs on the same axes."""

from collections.abc import Sequence

from stablereward.report.axes import Mark
from stablereward.report.charts import COLOURS
from stablereward.report.curves import remark, stage_name
from stablereward.report.events import marks_of
from stablereward.report.fans import fan_chart, frame_of, readout
from stablereward.report.markup import Html, el, join, thin
from stablereward.report.quantities import in_unit, number, plural
from stablereward.report.recorded import Spread
from stablereward.report.run import Run
from stablereward.report.spreads import DISTRIBUTIONS, quantity

MAX_FANS = 24
BUDGET = 700_000
"""Characters of HTML that all fans together may take."""
COMPARED = ("reward", "advantages", "policy/log_ratio", "policy/entropy", "completions/length")


def distributions_section(run: Run) -> Html | None:
    """A fan for each recorded quantity; None where the run has no recording."""
    if not run.recorded:
        return None
    marks = marks_of(run)
    several = {name for _, name in run.recorded if sum(other == name for _, other in run.recorded) > 1}
    fans, constants = [], []
    for (stage, name), course in sorted(run.recorded.items(), key=lambda item: _place(item[0][1])):
        spreads = course.spreads()
        title = quantity(name).title + (f", {stage_name(stage).lower()}" if name in several else "")
        same = _constant(spreads)
        if same is None:
            fans.append(_figure(name, title, spreads, marks.get(stage, [])))
        else:
            constants.append(f"{title} is {number(same)} {quantity(name).unit}".strip())
    shown = thin(fans[:MAX_FANS], BUDGET)
    missing = len(fans) - len(shown)
    stride = max(course.stride for course in run.recorded.values())
    notes = [
        f"A point stands for up to {stride} updates; its bands reach as far as any of them."
        if stride > 1
        else "",
        f"{plural(missing, 'more quantity' if missing == 1 else 'more distribution')} not shown."
        if missing
        else "",
    ]
    note = " ".join(filter(None, notes))
    constant = f"The same in every update: {'; '.join(constants[:MAX_FANS])}." if constants else ""
    return join(
        [
            _legend() if shown else None,
            el("p", note, cls="muted") if note else None,
            el("div", *shown, cls="charts") if shown else None,
            el("p", constant, cls="muted note") if constant else None,
        ]
    )


def side_by_side(runs: Sequence[Run]) -> Html | None:
    """Small multiples: for each selected quantity a fan of each run that recorded it, on one axis."""
    rows = []
    for name in COMPARED:
        found = [
            (i, run, spreads)
            for i, run in enumerate(runs)
            if (
                spreads := next(
                    (c.spreads() for (_, other), c in run.recorded.items() if other == name), None
                )
            )
        ]
        if found:
            rows.append(_row(name, found))
    shown = thin(rows, BUDGET)
    return join([_legend(), *shown]) if shown else None


def _row(name: str, found: Sequence[tuple[int, Run, list[Spread]]]) -> Html:
    known = quantity(name)
    frame = frame_of([spreads for _, _, spreads in found])
    bend = frame[0].bend
    figures = [
        el(
            "figure",
            el("figcaption", el("b", run.name), el("output", "")),
            fan_chart(
                spreads,
                title=f"{known.title}, {run.name}",
                unit=known.unit,
                colour=f"c{i % COLOURS}",
                frame=frame,
            ),
            readout(spreads[-1]),
        )
        for i, run, spreads in found
    ]
    heading = el(
        "h3",
        known.title,
        " ",
        el("span", f"{in_unit(known.says, known.unit)}{_bent(bend)}", cls="muted"),
        cls="quantity",
    )
    return el("div", heading, el("div", *figures, cls="charts multiples"), remark(known.bad))


def _constant(spreads: list[Spread]) -> float | None:
    """The one value that the quantity ever had, or None."""
    ends = {end for spread in spreads for end in (spread.quantiles[0], spread.quantiles[-1])}
    return ends.pop() if len(ends) == 1 else None


def _figure(name: str, title: str, spreads: list[Spread], marks: Sequence[Mark]) -> Html:
    known = quantity(name)
    frame = frame_of([spreads])
    says = in_unit(known.says, known.unit)
    return el(
        "figure",
        el("figcaption", el("b", title), el("output", ""), el("p", says, _bent(frame[0].bend))),
        fan_chart(spreads, title=title, unit=known.unit, frame=frame, marks=marks),
        readout(spreads[-1]),
        remark(known.bad),
    )


def _bent(bend: float) -> str:
    return f" The axis is logarithmic beyond ±{number(bend)}." if bend else ""


def _place(name: str) -> int:
    """Known quantities in the catalogue's order, parts of the reward behind the reward, unknown ones last."""
    known = list(DISTRIBUTIONS)
    head = name.partition("/")[0] if name.startswith("reward/") else name
    return known.index(head) if head in known else len(known)


def _legend() -> Html:
    """What the bands are, in their own colours."""
    words = (("all", "smallest to largest"), ("most", "5 to 95 %"), ("half", "25 to 75 %"))
    bands = [el("span", el("i", cls=f"swatch {cls}"), text) for cls, text in words]
    lines = [el("span", el("i", cls=f"swatch {cls}"), cls) for cls in ("median", "mean")]
    return el("p", *bands, *lines, cls="legend c1")
