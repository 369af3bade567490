"""The page: its head, the parts every run has, and the sections in the order a reader wants them."""

import base64
import hashlib
from collections.abc import Iterable
from importlib.resources import files
from string import Template

from stablereward.report.alerts import alerts
from stablereward.report.charts import COLOURS
from stablereward.report.curves import curves_section, stage_name
from stablereward.report.distributions import distributions_section
from stablereward.report.events import events_section
from stablereward.report.examples import examples_section
from stablereward.report.markup import Html, el, html, join
from stablereward.report.measured import measured_qualification, measured_section, measured_verdict
from stablereward.report.mistakes import mistakes_section
from stablereward.report.quantities import duration, is_number, percent, plural
from stablereward.report.reproduce import reproduce_section
from stablereward.report.results import qualification, results_section, verdict
from stablereward.report.rollouts import rollouts_section
from stablereward.report.rows_left_out import rows_left_out_section
from stablereward.report.run import Run

POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'unsafe-inline'"


def run_page(run: Run) -> str:
    """The whole page of one run."""
    sections = (
        ("Results", results_section(run)),
        ("Figures", measured_section(run)),
        ("Mistakes", mistakes_section(run)),
        ("Learning", curves_section([run])),
        ("Distributions", distributions_section(run)),
        ("Judgements", examples_section(run)),
        ("Rollouts", rollouts_section(run)),
        ("Left-out", rows_left_out_section(run)),
        ("Events", events_section(run)),
        ("Reproduce", reproduce_section(run)),
    )
    judged = verdict(run.results)
    opening = (
        [judged, qualification(run.results)]
        if judged
        else [measured_verdict(run) or _unmeasured(run), measured_qualification(run)]
    )
    return page(run.name, join([*opening, alerts([run]), _timeline(run)]), sections)


def page(title: str, opening: Html, sections: Iterable[tuple[str, Html | None]]) -> str:
    """The template filled; sections that are None are left out. Nothing is loaded from anywhere."""
    present = [(name, body) for name, body in sections if body is not None]
    style, script, template = (_file(name) for name in ("page.css", "page.js", "page.html"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return Template(template).substitute(
        title=html(title),
        policy=f"{POLICY}; script-src 'sha256-{digest}'",
        style=style,
        script=script,
        links=join(el("a", name, href=f"#{name.lower()}") for name, _ in present),
        opening=opening,
        sections=join(el("section", el("h2", name), body, id=name.lower()) for name, body in present),
    )


def _file(name: str) -> str:
    return files("stablereward.report").joinpath(name).read_text(encoding="utf-8")


def _unmeasured(run: Run) -> Html:
    text = plural(len(run.updates), "update") if run.updates else "nothing trained yet"
    stages = ", ".join(stage_name(stage).lower() for stage in run.stages)
    state = "The results cannot be read" if _hurt(run, "results.json") else "Not measured yet"
    return el("p", f"{state}: {text}{f' in {stages}' if stages else ''}.", cls="verdict")


def _hurt(run: Run, name: str) -> bool:
    """Whether a file of the run is damaged or missing."""
    return any(notice.startswith(name) for notice in run.notices)


def _timeline(run: Run) -> Html | None:
    """A bar divided by the seconds of each stage, and what each did."""
    seconds: dict[str, float] = {}
    for event in run.events:
        if event["event"] == "stage" and is_number(event.get("seconds")):
            name = str(event.get("stage", ""))
            seconds[name] = seconds.get(name, 0.0) + max(event["seconds"], 0.0)
    if not run.stages:
        return None
    total = sum(seconds.values())
    unknown = "time not known" if _hurt(run, "timings.jsonl") else "not finished"
    bars, keys = [], []
    for i, stage in enumerate(run.stages):
        spent = seconds.get(stage)
        updates = len({row["update"] for row in run.updates if row.get("stage") == stage})
        time = unknown if spent is None else duration(spent)
        detail = f"{time}, {plural(updates, 'update')}" if updates else time
        if spent and total:
            share = f"{stage_name(stage)}: {time}, {percent(spent / total, 0)}"
            bars.append(el("i", style=f"flex-grow:{spent / total:.4f}", cls=f"c{i % COLOURS}", title=share))
        keys.append(el("li", el("b", stage_name(stage)), el("span", detail), cls=f"c{i % COLOURS}"))
    whole = (
        el("li", el("b", "Together"), el("span", duration(total)), cls="total") if len(seconds) > 1 else None
    )
    return el("div", el("div", *bars, cls="stages"), el("ol", *keys, whole), cls="timeline")
