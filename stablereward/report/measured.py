"""What a run measured in the end, for runs that are not judges: a sentence, and a table of figures."""

from stablereward.report.markup import Html, el
from stablereward.report.quantities import SPACE, number
from stablereward.report.run import Measured, Run

MAX_FIGURES = 40


def measured_verdict(run: Run) -> Html | None:
    """The first figure in a sentence."""
    for name, figure in run.figures.items():
        return el("p", f"{name}: ", el("b", number(figure.value)), f" ({figure.about}).", cls="verdict")
    return None


def measured_section(run: Run) -> Html | None:
    """A row a figure, its interval where it has one."""
    if not run.figures:
        return None
    rows = [
        el(
            "tr",
            el("th", name, scope="row"),
            el("td", number(figure.value)),
            el("td", _interval(figure)),
            el("td", "" if figure.n is None else str(figure.n)),
            el("td", figure.about, cls="text"),
        )
        for name, figure in list(run.figures.items())[:MAX_FIGURES]
    ]
    head = el(
        "tr",
        *(el("th", title, scope="col") for title in ("figure", "value", f"95{SPACE}% interval", "n", "")),
    )
    return el("div", el("table", el("thead", head), el("tbody", *rows)), cls="scroll")


def _interval(figure: Measured) -> str:
    if figure.low is None or figure.high is None:
        return ""
    return f"{number(figure.low)} to {number(figure.high)}"
