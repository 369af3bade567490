"""Several runs side by side: their results, their curves over one another, the settings that differ."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import yaml

from stablereward.report.alerts import alerts
from stablereward.report.charts import COLOURS
from stablereward.report.curves import curves_section
from stablereward.report.distributions import side_by_side
from stablereward.report.markup import Html, el, join
from stablereward.report.page import page
from stablereward.report.quantities import percent, plural
from stablereward.report.results import HELD_OUT, accuracy, bar, headline, results_section, role, span
from stablereward.report.run import Result, Run


def comparison_page(runs: Sequence[Run]) -> str:
    """The whole page of several runs. Those whose folders have one name are told apart."""
    runs = _told_apart(runs)
    results = [
        one.model_copy(update={"judge": f"{run.name}: {one.judge}", "role": role(one) or "other"})
        for run in runs
        for one in run.results
    ]
    together = Run(folder=runs[0].folder, results=results)
    sections = (
        ("Results", join([_standings(runs), _fold(results_section(together))]) if results else None),
        ("Settings", _settings(runs)),
        ("Learning", curves_section(runs)),
        ("Distributions", side_by_side(runs)),
    )
    return page(f"{len(runs)} runs compared", join([_leader(runs), alerts(runs), _names(runs)]), sections)


def _told_apart(runs: Sequence[Run]) -> list[Run]:
    """The runs; where folders have one name the name of the folder around them, then a number, is added."""
    counts = Counter(run.name for run in runs)
    longer = [
        replace(run, label=f"{run.folder.resolve().parent.name}/{run.name}") if counts[run.name] > 1 else run
        for run in runs
    ]
    counts = Counter(run.name for run in longer)
    return [
        replace(run, label=f"{run.name} ({i})") if counts[run.name] > 1 else run
        for i, run in enumerate(longer, 1)
    ]


def _names(runs: Sequence[Run]) -> Html:
    """The colour of each run on this page, and how long it was."""
    keys = (
        el(
            "li",
            el("b", run.name),
            el("span", plural(len(run.updates), "update")),
            cls=f"c{i % COLOURS}",
        )
        for i, run in enumerate(runs)
    )
    return el("div", el("ol", *keys), cls="timeline")


def _standings(runs: Sequence[Run]) -> Html | None:
    """One row for each judge that was measured, one column for each run, with intervals."""
    by_judge: dict[tuple[str, int], dict[int, Result]] = {}
    for i, run in enumerate(runs):
        for one in run.results:
            by_judge.setdefault((one.judge, one.votes), {})[i] = one
    head = el("tr", el("th", "Judge"), *(el("th", run.name) for run in runs))
    rows = [
        el(
            "tr",
            el("th", judge, " ", el("span", f"{votes} votes", cls="tag") if votes > 1 else None, scope="row"),
            *(_cell(found.get(i), run) for i, run in enumerate(runs)),
            cls=role(next(iter(found.values()))) or None,
        )
        for (judge, votes), found in by_judge.items()
    ]
    if not rows:
        return None
    table = el("table", el("thead", head), el("tbody", *rows), cls="results standings")
    note = "Mean accuracy of both orders with its 95 % interval; the dashed line is chance."
    return join([el("div", table, cls="scroll"), el("p", note, cls="muted note")])


def _cell(result: Result | None, run: Run) -> Html:
    share = accuracy(result) if result else None
    if result is None or share is None:
        return el("td", "–", data_label=run.name)
    interval = el("small", span(result.interval)) if result.interval else None
    return el("td", el("b", percent(share)), " ", interval, bar(share, result.interval), data_label=run.name)


def _fold(table: Html | None) -> Html | None:
    return el("details", el("summary", "Every figure of every judge"), table, cls="fold") if table else None


def _leader(runs: Sequence[Run]) -> Html | None:
    """The run whose trained judge is best, in one sentence."""
    scored = [(accuracy(found[0]) or 0.0, run.name) for run in runs if (found := headline(run.results))]
    if not scored:
        return None
    share, name = max(scored)
    return el(
        "p",
        f"Best of {len(scored)}: {name}, ",
        el("b", percent(share)),
        " ",
        HELD_OUT,
        " accuracy.",
        cls="verdict",
    )


def _settings(runs: Sequence[Run]) -> Html | None:
    """One row for each setting that is not the same in all runs."""
    settings = [_flat(run) for run in runs]
    names = dict.fromkeys(name for one in settings for name in one)
    differing = [name for name in names if len({one.get(name, "–") for one in settings}) > 1]
    if not any(settings):
        return None
    if not differing:
        return el("p", "All settings are the same.", cls="muted")
    head = el("tr", el("th", "Setting"), *(el("th", run.name) for run in runs))
    rows = (
        el("tr", el("th", name, scope="row"), *(el("td", one.get(name, "–")[:200]) for one in settings))
        for name in differing
    )
    return el("div", el("table", el("thead", head), el("tbody", *rows), cls="settings"), cls="scroll")


def _flat(run: Run) -> dict[str, str]:
    """The settings of a run by dotted name; none where its config is not YAML.

    Aliases are refused: a few of them can stand for a document without end.
    """
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(run.config)):
            return {}
        loaded = yaml.safe_load(run.config)
    except (yaml.YAMLError, RecursionError):
        return {}
    flat: dict[str, str] = {}
    pending = [("", loaded)]
    while pending:
        prefix, value = pending.pop()
        if isinstance(value, dict):
            pending += [
                (f"{prefix}.{key}" if prefix else str(key), one) for key, one in reversed(value.items())
            ]
        elif prefix:
            flat[prefix] = str(value)
    return flat
