"""What a run measured in the end, for runs that are not judges: a sentence, and a table of figures."""

from collections.abc import Sequence

from stablereward.report.markup import Html, el
from stablereward.report.quantities import SPACE, TOGETHER, number
from stablereward.report.run import Measured, Run

MAX_FIGURES = 40
BEFORE = ("start_{}", "{}_start")
"""What the figure of the policy before training is called."""


def measured_verdict(run: Run) -> Html | None:
    """The first figure in a sentence, with what it was before training."""
    for name, figure in run.figures.items():
        start = _before(run, name)
        was = "" if start is None else f", {number(start.value)} before training"
        return el("p", f"{_plain(name)}: ", el("b", number(figure.value)), f"{was}.", cls="verdict")
    return None


def measured_qualification(run: Run) -> Html | None:
    """What the first figure is, and how sure."""
    for figure in run.figures.values():
        known = [figure.about[:1].upper() + figure.about[1:]]
        if figure.low is not None and figure.high is not None:
            known.append(f"95{SPACE}% interval {_interval(figure)}")
        known += [f"n = {figure.n}"] if figure.n is not None else []
        return el("p", f"{'; '.join(filter(None, known))}.", cls="muted")
    return None


def measured_section(run: Run) -> Html | None:
    """A row a figure; columns that no figure fills are left out."""
    if not run.figures:
        return None
    starts = {name: start for name in run.figures if (start := _before(run, name)) is not None}
    shown = [(n, one) for n, one in run.figures.items() if not any(one is start for start in starts.values())]
    columns = {
        "value": [number(figure.value) for _, figure in shown],
        "before training": [number(starts[name].value) if name in starts else "" for name, _ in shown],
        f"95{SPACE}% interval": [_interval(figure) for _, figure in shown],
        "n": ["" if figure.n is None else str(figure.n) for _, figure in shown],
    }
    columns = {title: cells for title, cells in columns.items() if any(cells)}
    rows = [
        el(
            "tr",
            el("th", name, scope="row"),
            *(el("td", cells[i], data_label=title) for title, cells in columns.items()),
            el("td", figure.about, cls="text"),
        )
        for i, (name, figure) in enumerate(shown[:MAX_FIGURES])
    ]
    return el("div", el("table", _head(list(columns)), el("tbody", *rows), cls="figures"), cls="scroll")


def _head(columns: Sequence[str]) -> Html:
    return el("thead", el("tr", *(el("th", title, scope="col") for title in ("figure", *columns, ""))))


def _before(run: Run, name: str) -> Measured | None:
    return next((run.figures[own] for form in BEFORE if (own := form.format(name)) in run.figures), None)


def _plain(name: str) -> str:
    """A figure's name as a sentence begins with it."""
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def _interval(figure: Measured) -> str:
    if figure.low is None or figure.high is None:
        return ""
    return f"{number(figure.low)}–{TOGETHER}{number(figure.high)}"
