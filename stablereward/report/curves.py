"""How the run learned: the curves that matter first, the others by group, every metric below them."""

from collections.abc import Sequence
from dataclasses import replace

from stablereward.report.axes import Mark, bend_of
from stablereward.report.catalogue import FIRST, GROUPS, Curve
from stablereward.report.charts import COLOURS, Series, line_chart, smooth, sparkline
from stablereward.report.events import marks_of
from stablereward.report.markup import Html, el, join
from stablereward.report.quantities import in_unit, is_number, number, plural
from stablereward.report.run import Run
from stablereward.report.writing import clipped

MAX_METRICS = 200
STAGES = {"rl": "Reinforcement learning", "sft": "Supervised fine-tuning"}
NOT_METRICS = frozenset({"update", "stage"})
Marks = dict[str, list[Mark]]
"""A run's events by stage."""


def stage_name(stage: str) -> str:
    """A stage's name as a reader says it."""
    return STAGES.get(stage, stage.replace("_", " ").capitalize())


def values_of(run: Run, metric: str) -> dict[str, list[tuple[float, float]]]:
    """The finite values of a metric in each stage that has it, against the stage's update number.

    Of an update that was made twice the later row counts.
    """
    found: dict[str, dict[float, float]] = {}
    for row in run.updates:
        if is_number(row.get(metric)):
            found.setdefault(str(row.get("stage", "")), {})[row["update"]] = row[metric]
    return {stage: sorted(pairs.items()) for stage, pairs in found.items()}


def laid_end_to_end(stages: dict[str, list[tuple[float, float]]]) -> dict[str, list[tuple[float, float]]]:
    """The same values, each stage that counts from one again moved behind the stage before it."""
    moved: dict[str, list[tuple[float, float]]] = {}
    end = 0.0
    for stage, pairs in stages.items():
        shift = end if pairs[0][0] <= end else 0.0
        moved[stage] = [(x + shift, y) for x, y in pairs]
        end = moved[stage][-1][0]
    return moved


def curves_section(runs: Sequence[Run]) -> Html | None:
    """Charts of one run, or of several laid over one another."""
    tables = [table for run in runs if (table := _all_metrics(run, named=len(runs) > 1))]
    if not tables:
        return None
    events = [marks_of(run) for run in runs]
    first = [chart for curve in FIRST for chart in _charts(runs, events, curve)] + _losses(runs, events)
    groups = [
        _fold(title, charts)
        for title, curves in GROUPS.items()
        if (charts := [chart for curve in curves for chart in _charts(runs, events, curve)])
    ]
    return join([_marks_legend(events), el("div", *first, cls="charts"), *groups, *tables])


def _marks_legend(events: Sequence[Marks]) -> Html | None:
    """What the triangles on the curves are."""
    names: dict[str, dict[str, None]] = {}
    for mark in (mark for by_stage in events for marks in by_stage.values() for mark in marks):
        names.setdefault(mark.kind, {})[mark.name] = None
    keys = (
        el("span", el("i", "▲", cls=f"event {kind}"), " ", clipped(", ".join(shown), 80))
        for kind, shown in names.items()
    )
    return el("p", *keys, cls="legend") if names else None


def _fold(title: str, charts: list[Html]) -> Html:
    count = el("span", plural(len(charts), "curve"), cls="muted")
    return el("details", el("summary", title, " ", count), el("div", *charts, cls="charts"), cls="fold")


def _charts(runs: Sequence[Run], events: Sequence[Marks], curve: Curve) -> list[Html]:
    """The curve's chart. Several metrics of several runs would need two codes: each that is ever other
    than 0 has a chart then.
    """
    if len(runs) == 1 or not curve.names:
        chart = _chart(runs, events, curve)
        return [] if chart is None else [chart]
    apart = [
        replace(curve, title=f"{curve.title}: {name}", metrics=(metric,), names=())
        for name, metric in zip(curve.names, curve.metrics, strict=True)
        if any(y for run in runs for pairs in values_of(run, metric).values() for _, y in pairs)
    ]
    return [chart for one in apart if (chart := _chart(runs, events, one))]


def _chart(runs: Sequence[Run], events: Sequence[Marks], curve: Curve) -> Html | None:
    """Colours tell runs, metrics or stages apart."""
    scale = 100.0 if curve.unit == "%" else 1.0
    drawn: list[Series] = []
    marks: dict[Mark, None] = {}
    starts: set[float] = set()
    for i, run in enumerate(runs):
        for j, metric in enumerate(curve.metrics):
            found = values_of(run, metric)
            for stage, pairs in laid_end_to_end(found).items():
                if len(runs) > 1:
                    name, colour = run.name, i
                elif curve.names:
                    name, colour = curve.names[j], j
                else:
                    name, colour = stage_name(stage), run.stages.index(stage) if stage else 0
                drawn.append(_series(name, colour, [(x, y * scale) for x, y in pairs]))
                starts.add(pairs[0][0])
                shift = pairs[0][0] - found[stage][0][0]
                marks |= dict.fromkeys(
                    _moved(events[i].get(stage, []), shift, run if len(runs) > 1 else None)
                )
    if not drawn:
        return None
    first = min(series.xs[0] for series in drawn)
    several_stages = len(starts) > 1 and len(runs) == 1 and not curve.names
    boundaries = sorted(starts - {first}) if several_stages else []
    return _figure(curve, drawn, boundaries, list(marks))


def _moved(marks: Sequence[Mark], shift: float, run: Run | None) -> list[Mark]:
    """Marks behind the stages before theirs; with the run's name where several are shown."""
    return [
        replace(mark, x=mark.x + shift, text=f"{run.name}, {mark.text}" if run else mark.text)
        for mark in marks
    ]


def _losses(runs: Sequence[Run], events: Sequence[Marks]) -> list[Html]:
    """Losses of different stages differ in kind, so each stage has a chart of its own."""
    figures = []
    for stage in dict.fromkeys(stage for run in runs for stage in values_of(run, "loss")):
        drawn = [
            _series(run.name, i if len(runs) > 1 else run.stages.index(stage) if stage else 0, pairs)
            for i, run in enumerate(runs)
            if (pairs := values_of(run, "loss").get(stage))
        ]
        title = f"Loss, {stage_name(stage).lower()}" if stage else "Loss"
        centred = stage == "rl"
        says = "Says little, since advantages are centred." if centred else "The objective that is minimised."
        marks = [
            mark
            for i, run in enumerate(runs)
            for mark in _moved(events[i].get(stage, []), 0, run if len(runs) > 1 else None)
        ]
        curve = Curve(title, says, ("loss",), "", "" if centred else "not falling.")
        figures.append(_figure(curve, drawn, [], marks))
    return figures


def _figure(curve: Curve, series: list[Series], boundaries: list[float], marks: list[Mark]) -> Html:
    unit = curve.unit
    keys = {(one.name, one.colour): smooth(one.ys)[-1] for one in series}
    legend = (
        el("span", name, " ", el("b", number(last)), cls=f"key value c{colour % COLOURS}", data_name=name)
        for (name, colour), last in keys.items()
    )
    one_value = len(keys) == 1 or boundaries
    last = f"{number(smooth(series[-1].ys)[-1])} {unit}" if one_value else ""
    says = curve.says if one_value else in_unit(curve.says, unit)
    bend = bend_of([y for one in series for y in one.ys]) if curve.bends else 0.0
    bent = f" The axis is logarithmic beyond {number(bend)}." if bend else ""
    return el(
        "figure",
        el("figcaption", el("b", curve.title), el("output", last.strip()), el("p", says, bent)),
        line_chart(
            series,
            title=curve.title,
            unit=unit,
            reference=curve.reference,
            boundaries=boundaries,
            marks=marks,
            bend=bend,
        ),
        el("div", *legend, cls="keys") if len(keys) > 1 else None,
        remark(curve.bad),
    )


def remark(bad: str) -> Html | None:
    """What a bad value looks like, under a chart."""
    return el("p", el("b", "Bad sign:"), " ", bad, cls="remark") if bad else None


def _all_metrics(run: Run, *, named: bool) -> Html | None:
    names = dict.fromkeys(
        key
        for row in run.updates
        for key, value in row.items()
        if is_number(value) and key not in NOT_METRICS
    )
    rows = [
        _metric_row(name, stage, [y for _, y in pairs])
        for name in sorted(names)[:MAX_METRICS]
        for stage, pairs in values_of(run, name).items()
    ][:MAX_METRICS]
    if not rows:
        return None
    head = el(
        "tr", *(el("th", title) for title in ("Metric", "Stage", "Course", "Last", "Lowest", "Highest"))
    )
    table = el("table", el("thead", head), el("tbody", *rows), cls="metrics")
    title = f"All {plural(len(names), 'metric')}" + (f" of {run.name}" if named else "")
    return el("details", el("summary", title), el("div", table, cls="scroll"), cls="fold")


def _metric_row(name: str, stage: str, values: list[float]) -> Html:
    return el(
        "tr",
        el("th", name, scope="row"),
        el("td", stage_name(stage), cls="muted"),
        el("td", sparkline(values)),
        *(el("td", number(figure), cls="figure") for figure in (values[-1], min(values), max(values))),
    )


def _series(name: str, colour: int, pairs: Sequence[tuple[float, float]]) -> Series:
    return Series(name=name, colour=colour, xs=[x for x, _ in pairs], ys=[y for _, y in pairs])
