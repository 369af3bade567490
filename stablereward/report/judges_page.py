"""The page of judges on the same pairs: their measures, their differences, the pairs that divide them."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from stablereward.report.disagreements import Disagreement, disagreements_section
from stablereward.report.markup import Html, el, join
from stablereward.report.page import page
from stablereward.report.results import results_section
from stablereward.report.run import Result, Run

Printed = tuple[Sequence[str], Sequence[Sequence[str]]]
"""A table's head and its rows."""


def judges_page(
    title: str,
    headline: str,
    notes: Sequence[str],
    *,
    results: Sequence[Result],
    categories: Mapping[str, Mapping[str, float]],
    measures: Printed,
    differences: Sequence[tuple[str, Printed]],
    about_differences: str,
    pairs: Sequence[Disagreement],
    num_pairs: int,
) -> str:
    """The whole page, self-contained.

    `categories` are accuracies by judge and category, `differences` tables with their captions; `pairs`
    are those on which the judges differ, of the `num_pairs` that all judged.
    """
    style = files("stablereward.report").joinpath("judges_page.css").read_text(encoding="utf-8")
    run = Run(
        folder=Path(),
        results=list(results),
        categories={judge: dict(shares) for judge, shares in categories.items()},
    )
    judges = [results_section(run), _fold("Every measure", _table("", measures))]
    tables = [_table(caption, printed) for caption, printed in differences]
    sections = (
        ("Judges", join(judges)),
        ("Differences", join([el("p", about_differences, cls="muted"), *tables])),
        ("Pairs", disagreements_section(pairs, num_pairs)),
    )
    opening = [
        el("style", Html(style)),
        el("p", headline, cls="verdict"),
        *(el("p", note, cls="muted") for note in notes),
    ]
    return page(title, join(opening), sections)


def _table(caption: str, printed: Printed) -> Html:
    head, rows = printed
    title = el("caption", caption) if caption else None
    body = (el("tr", el("th", row[0], scope="row"), *(el("td", cell) for cell in row[1:])) for row in rows)
    heads = el("thead", el("tr", *(el("th", name) for name in head)))
    return el("div", el("table", title, heads, el("tbody", *body), cls="side"), cls="scroll")


def _fold(title: str, body: Html) -> Html:
    return el("details", el("summary", title), body, cls="fold")
