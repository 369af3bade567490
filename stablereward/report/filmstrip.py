"""What was made of the same prompts while the policy learned: a prompt a row, an update a column."""

from collections.abc import Iterator

from stablereward.report.markup import Html, el, join
from stablereward.report.media import picture
from stablereward.report.quantities import number
from stablereward.report.run import Group, Run, spread
from stablereward.report.writing import clipped

MAX_ROWS, MAX_COLUMNS = 6, 8
MIN_UPDATES = 3
"""Prompts that were kept in fewer updates make no film."""
BUDGET = 600_000
"""Characters of HTML that the strip may take."""


def filmstrip(run: Run) -> Html | None:
    """The first picture of each prompt that the run kept again and again; None where it kept none so.

    Columns are thinned, the first and the last update kept, until the strip fits its budget.
    """
    films = _films(run)
    updates = sorted({update for film in films.values() for update in film})
    for columns in range(MAX_COLUMNS, 1, -1):
        drawn = _strip(run, films, spread(updates, columns)) if films else None
        if drawn is None or len(drawn) <= BUDGET:
            return drawn
    return None


def _films(run: Run) -> dict[str, dict[int, Group]]:
    """The groups whose first sample is a picture, by question and update."""
    found: dict[str, dict[int, Group]] = {}
    for group in run.groups:
        if group.question and group.completions and group.completions[0].images:
            found.setdefault(group.question, {}).setdefault(group.update, group)
    kept = [(question, film) for question, film in found.items() if len(film) >= MIN_UPDATES]
    return dict(kept[:MAX_ROWS])


def _strip(run: Run, films: dict[str, dict[int, Group]], updates: list[int]) -> Html:
    head = el("tr", el("td"), *(el("th", f"update {update}", scope="col") for update in updates))
    rows = (
        el("tr", el("th", clipped(question, 120), scope="row", dir="auto"), *_cells(run, film, updates))
        for question, film in films.items()
    )
    table = el("table", el("thead", head), el("tbody", *rows), cls="film")
    said = el(
        "p", "The same prompts over the run, the first sample of each and its reward.", cls="muted note"
    )
    return join([el("div", table, cls="scroll"), said])


def _cells(run: Run, film: dict[int, Group], updates: list[int]) -> Iterator[Html]:
    for update in updates:
        if update not in film:
            yield el("td")
            continue
        made = film[update].completions[0]
        image = picture(run.folder, made.images[0], alt=f"made at update {update}")
        yield el("td", image, el("span", "–" if made.reward is None else number(made.reward)))
