"""The lab's page: tables, claims, learning curves, the noise sweep and the filter, in one file."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from stablereward.lab import tables
from stablereward.lab.arms import ARMS
from stablereward.lab.claims import judged
from stablereward.lab.jobs import Job
from stablereward.lab.outcome import RULE, Outcome
from stablereward.lab.pictures import Curve, band, filter_chart, learning_charts, noise_charts
from stablereward.lab.regimes import Regime
from stablereward.lab.study import Study
from stablereward.lab.tables import Table
from stablereward.report.charts import COLOURS
from stablereward.report.files import objects
from stablereward.report.markup import Html, el, join
from stablereward.report.page import page
from stablereward.report.quantities import is_number, plural

RIGHT = "reward/result"
"""The share of a batch's samples that are right: what is drawn as learning."""


def lab_page(study: Study, lab: Path, found: Mapping[Job, Outcome], regimes: Sequence[Regime]) -> str:
    """The whole page, self-contained; learning curves are read from the runs' folders."""
    sections = (
        ("Results", _results(study)),
        ("Claims", _claims(study)),
        ("Learning", _learning(lab, found)),
        ("Noise", _noise(study)),
        ("Filter", filter_section()),
        ("Method", join(_table(one) for one in (tables.arms_table(study), tables.regimes_table(regimes)))),
    )
    collapsed = sum(one.collapsed for one in found.values())
    opening = [
        el("style", Html(files("stablereward.report").joinpath("judges_page.css").read_text("utf-8"))),
        el("p", f"{plural(len(found), 'run')} from one cold start, {collapsed} collapsed.", cls="verdict"),
        el("p", tables.INTERVALS, cls="muted"),
        el("p", RULE, cls="muted"),
    ]
    return page("The stability lab", join(opening), sections)


def filter_page() -> str:
    """The filter's picture as a page of its own."""
    return page("What the sigma filter zeroes", Html(), [("Filter", filter_section())])


def filter_section() -> Html:
    """The share of advantages that each rule zeroes, with what that means."""
    text = (
        "Rewards are 2.0 for a right answer and 0.5 for a wrong one. Once a batch is accurate enough, every "
        "wrong answer lies beyond the bound and is zeroed: the policy no longer learns from its mistakes. "
        "Lines are theory, dots what the code does to batches of 256."
    )
    figure = el("figure", el("figcaption", el("b", "Advantages zeroed, by batch accuracy")), filter_chart())
    return join([el("p", text, cls="muted"), el("div", figure, cls="charts")])


def _results(study: Study) -> Html:
    found = [tables.regime_table(study, regime) for regime in study.regimes]
    contrasts = tables.contrast_table(study)
    shown = [_table(one) for one in (*found, *([contrasts] if contrasts else []))]
    return join([*shown, el("p", tables.WORST, cls="muted note")])


def _claims(study: Study) -> Html | None:
    found = judged(study)
    if not found:
        return None
    colours = {"holds": "tag good", "does not hold": "tag warn"}
    rows = (
        el(
            "tr",
            el("th", one.claim, scope="row"),
            el("td", one.regime),
            el("td", el("span", one.verdict, cls=colours.get(one.verdict, "tag"))),
            el("td", one.evidence),
        )
        for one in found
    )
    head = el("tr", *(el("th", name) for name in ("The claim", "Regime", "Here", "Seen")))
    table = el("table", el("thead", head), el("tbody", *rows))
    stated = el("ul", *(el("li", rule) for rule in tables.rules(study)))
    return join(
        [
            el("div", table, cls="scroll"),
            el("details", el("summary", "The rule of each claim"), stated, cls="fold"),
        ]
    )


def _learning(lab: Path, found: Iterable[Job]) -> Html | None:
    """Small charts of each regime's arms; the runs of the noise sweep are not among them."""
    curves: dict[str, dict[str, list[Curve]]] = {}
    for job in found:
        curve = _curve(lab / job.name)
        if curve and job.in_ablation:
            curves.setdefault(job.regime.name, {}).setdefault(job.arm, []).append(curve)
    if not curves:
        return None
    colours = {arm: i % COLOURS for i, arm in enumerate(ARMS)}
    note = "The share of a batch's samples that are right: the mean over seeds, and all seeds as a band."
    charts = (
        join(
            [
                el("h3", regime, cls="quantity"),
                learning_charts(
                    {arm: band(all_seeds) for arm, all_seeds in arms.items()},
                    title=f"Share right, {regime}",
                    colours=colours,
                ),
            ]
        )
        for regime, arms in curves.items()
    )
    return join([el("p", note, cls="muted"), *charts])


def _curve(folder: Path) -> Curve:
    """The share right by update; empty where nothing was logged."""
    rows = (row for _, row in objects(folder / "metrics.jsonl", []))
    return {
        row["update"]: row[RIGHT]
        for row in rows
        if is_number(row.get("update")) and is_number(row.get(RIGHT))
    }


def _noise(study: Study) -> Html | None:
    table = tables.noise_table(study)
    return None if table is None else join([_table(table), noise_charts(study)])


def _table(table: Table) -> Html:
    body = (
        el("tr", el("th", row[0], scope="row"), *(el("td", cell) for cell in row[1:])) for row in table.rows
    )
    heads = el("thead", el("tr", *(el("th", name) for name in table.head)))
    shown = el("table", el("caption", table.caption), heads, el("tbody", *body), cls="side")
    return el("div", shown, cls="scroll")
