"""How the run learned: the curves that matter first, the others by group, every metric below them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from stablereward.report.axes import Mark, bend_of
from stablereward.report.catalogue import FIRST, GROUPS, Curve
from stablereward.report.charts import COLOURS, Series, line_chart, smooth, sparkline
from stablereward.report.events import marks_of
from stablereward.report.markup import Html, el, join
from stablereward.report.quantities import in_unit, is_number, number, plural
from stablereward.report.run import Run
from stablereward.report.writing import clipped
from stablereward.runs.metrics import WEIGHT, as_mean

MAX_METRICS = 200
STAGES = {"rl": "Reinforcement learning", "sft": "Supervised fine-tuning"}
NOT_METRICS = frozenset({"update", "stage"})
MAX_NAME = 60
Marks = dict[str, list[Mark]]
"""A run's events by stage."""


class Track(NamedTuple):
    """A stage, or one of the learners that take turns in it."""

    stage: str
    learner: str = ""

    @property
    def name(self) -> str:
        """As a reader says it."""
        return f"{stage_name(self.stage)}, {self.learner}" if self.learner else stage_name(self.stage)


def stage_name(stage: str) -> str:
    """A stage's name as a reader says it."""
    return STAGES.get(stage, stage.replace("_", " ").capitalize())


def values_of(run: Run, metric: str) -> dict[Track, list[tuple[float, float]]]:
    """The finite values of a metric in each track that has it, against the stage's update number.

    The learners of a stage have a track each where several have the metric. Of an update that was made
    twice the later row counts.
    """
    found: dict[Track, dict[float, float]] = {}
    for row in run.updates:
        if is_number(row.get(metric)) and is_number(value := _as_mean(row, metric)):
            track = Track(str(row.get("stage", "")), str(row.get("learner", ""))[:MAX_NAME])
            found.setdefault(track, {})[row["update"]] = value
    several = Counter(track.stage for track in found)
    return {
        track if several[track.stage] > 1 else Track(track.stage): sorted(pairs.items())
        for track, pairs in found.items()
    }


def _as_mean(row: dict[str, Any], metric: str) -> float | None:
    """As `runs.metrics.as_mean`, of a row that nobody has checked."""
    known = {name: row[name] for name in (metric, WEIGHT) if is_number(row.get(name))}
    return as_mean(known, metric)


def laid_end_to_end(tracks: dict[Track, list[tuple[float, float]]]) -> dict[Track, list[tuple[float, float]]]:
    """The same values, each stage that counts from one again moved behind the stage before it."""
    moved: dict[Track, list[tuple[float, float]]] = {}
    end = 0.0
    for stage in dict.fromkeys(track.stage for track in tracks):
        own = {track: pairs for track, pairs in tracks.items() if track.stage == stage}
        shift = end if min(pairs[0][0] for pairs in own.values()) <= end else 0.0
        moved |= {track: [(x + shift, y) for x, y in pairs] for track, pairs in own.items()}
        end = shift + max(pairs[-1][0] for pairs in own.values())
    return moved


def colour_of(run: Run, track: Track) -> int:
    """A stage has its colour in the timeline, and so has its first learner; other learners follow these."""
    place = run.stages.index(track.stage) if track.stage else 0
    names = [str(row.get("learner", ""))[:MAX_NAME] for row in run.updates if row.get("stage") == track.stage]
    number = list(dict.fromkeys(names)).index(track.learner) if track.learner else 0
    return place if number == 0 else len(run.stages) + number - 1


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
    """The curve's chart. Several metrics, or learners, of several runs would need two codes: each has a
    chart then, a metric if it is ever other than 0.
    """
    if len(runs) == 1:
        chart = _chart(runs, events, curve)
        return [] if chart is None else [chart]
    apart = [curve]
    if curve.names:
        apart = [
            replace(curve, title=f"{curve.title}: {name}", metrics=(metric,), names=())
            for name, metric in zip(curve.names, curve.metrics, strict=True)
            if any(y for run in runs for pairs in values_of(run, metric).values() for _, y in pairs)
        ]
    drawn = []
    for one in apart:
        tracks = [track for run in runs for track in values_of(run, one.metrics[0])]
        for learner in dict.fromkeys(track.learner for track in tracks):
            shown = replace(one, title=f"{one.title}, {learner}") if learner else one
            drawn.append(_chart(runs, events, shown, learner))
    return [chart for chart in drawn if chart]


def _chart(
    runs: Sequence[Run], events: Sequence[Marks], curve: Curve, learner: str | None = None
) -> Html | None:
    """Colours tell runs, metrics, stages or their learners apart; `learner` is the only one shown."""
    scale = 100.0 if curve.unit == "%" else 1.0
    drawn: list[Series] = []
    marks: dict[Mark, None] = {}
    begun: dict[str, float] = {}
    for i, run in enumerate(runs):
        for j, metric in enumerate(curve.metrics):
            found = values_of(run, metric)
            for track, pairs in laid_end_to_end(found).items():
                if learner is not None and track.learner != learner:
                    continue
                if len(runs) > 1:
                    name, colour = run.name, i
                elif curve.names:
                    name, colour = curve.names[j], j
                else:
                    name, colour = track.name, colour_of(run, track)
                drawn.append(_series(name, colour, [(x, y * scale) for x, y in pairs]))
                shift = pairs[0][0] - found[track][0][0]
                begun.setdefault(track.stage, pairs[0][0])
                begun[track.stage] = min(begun[track.stage], pairs[0][0])
                marks |= dict.fromkeys(
                    _moved(events[i].get(track.stage, []), shift, run if len(runs) > 1 else None)
                )
    if not drawn:
        return None
    first = min(series.xs[0] for series in drawn)
    several_stages = len(begun) > 1 and len(runs) == 1 and not curve.names
    boundaries = sorted(set(begun.values()) - {first}) if several_stages else []
    return _figure(curve, drawn, boundaries, list(marks))


def _moved(marks: Sequence[Mark], shift: float, run: Run | None) -> list[Mark]:
    """Marks behind the stages before theirs; with the run's name where several are shown."""
    return [
        replace(mark, x=mark.x + shift, text=f"{run.name}, {mark.text}" if run else mark.text)
        for mark in marks
    ]


def _losses(runs: Sequence[Run], events: Sequence[Marks]) -> list[Html]:
    """Losses of different stages and learners differ in kind, so each has a chart of its own."""
    figures = []
    for track in dict.fromkeys(track for run in runs for track in values_of(run, "loss")):
        stage = track.stage
        drawn = [
            _series(run.name, i if len(runs) > 1 else colour_of(run, track), pairs)
            for i, run in enumerate(runs)
            if (pairs := values_of(run, "loss").get(track))
        ]
        title = f"Loss, {track.name.lower()}" if stage else "Loss"
        centred = any(
            "advantages/std" in row and row.get("stage") == stage for run in runs for row in run.updates
        )
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
    # Of stages one after the other the last counts; learners of one stage are told by the keys.
    one_value = len(keys) == 1 or (boundaries and len(keys) == len(boundaries) + 1)
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
        _metric_row(name, track, [y for _, y in pairs])
        for name in sorted(names)[:MAX_METRICS]
        for track, pairs in values_of(run, name).items()
    ][:MAX_METRICS]
    if not rows:
        return None
    head = el(
        "tr", *(el("th", title) for title in ("Metric", "Stage", "Course", "Last", "Lowest", "Highest"))
    )
    table = el("table", el("thead", head), el("tbody", *rows), cls="metrics")
    title = f"All {plural(len(names), 'metric')}" + (f" of {run.name}" if named else "")
    return el("details", el("summary", title), el("div", table, cls="scroll"), cls="fold")


def _metric_row(name: str, track: Track, values: list[float]) -> Html:
    return el(
        "tr",
        el("th", name, scope="row"),
        el("td", track.name, cls="muted"),
        el("td", sparkline(values)),
        *(el("td", number(figure), cls="figure") for figure in (values[-1], min(values), max(values))),
    )


def _series(name: str, colour: int, pairs: Sequence[tuple[float, float]]) -> Series:
    return Series(name=name, colour=colour, xs=[x for x, _ in pairs], ys=[y for _, y in pairs])
