"""A benchmark's results as a page that stands alone."""

from collections.abc import Sequence

from stablereward.evaluation import curves as voting
from stablereward.evaluation import standings as measures
from stablereward.evaluation.calibration import Bin
from stablereward.evaluation.standings import Curves, Standing
from stablereward.report.charts import Series, line_chart
from stablereward.report.markup import Html, el, join
from stablereward.report.mistakes import reliability
from stablereward.report.page import page


def to_html(title: str, standings: Sequence[Standing], notes: Sequence[str], curves: Curves) -> str:
    """What Markdown has, with the curves and the calibration drawn."""
    own = standings[0].summary
    low, high = own.interval
    score = f"{own.judge}: {100 * own.accuracy_mean:.1f} % right."
    said = [f"95 % interval {100 * low:.1f} to {100 * high:.1f}, {own.n} pairs. "]
    if curves:
        said.append(f"{voting.gain_in_words(next(iter(curves.values())), own.n)}.")
    sections = [
        ("Table", _table(*measures.cells(standings))),
        ("Votes", join([_table(*voting.cells(curves)), _charts(curves)]) if curves else None),
        ("Calibration", _reliability(own.judge, standings[0].reliability)),
        ("Notes", el("ul", *(el("li", note) for note in notes)) if notes else None),
    ]
    opening = join([el("p", score, cls="verdict"), el("p", *said, cls="muted")])
    return page(title, opening, sections)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Html:
    body = (el("tr", el("th", row[0], scope="row"), *(el("td", cell) for cell in row[1:])) for row in rows)
    heads = el("tr", *(el("th", cell, scope="col") for cell in head))
    return el("div", el("table", el("thead", heads), el("tbody", *body)), cls="scroll")


def _charts(curves: Curves) -> Html:
    """The majority with its interval, and all ways of voting; odd numbers of votes, which rarely tie."""
    odd = {name: points[::2] for name, points in curves.items()}
    xs = [float(point.votes) for point in next(iter(odd.values()))]
    majority = next(iter(odd.values()))
    band = {
        "accuracy": [100 * point.accuracy for point in majority],
        "95 % from": [100 * point.interval[0] for point in majority],
        "95 % to": [100 * point.interval[1] for point in majority],
    }
    ways = {name: [100 * point.accuracy for point in points] for name, points in odd.items()}
    figures = [_figure("Majority", "Accuracy by votes, with its interval.", xs, band, [0, 1, 1])]
    if len(ways) > 1:
        figures.append(_figure("Ways of voting", "Accuracy by votes.", xs, ways, range(len(ways))))
    return el("div", *figures, cls="charts")


def _reliability(judge: str, bins: Sequence[Bin]) -> Html | None:
    return el("div", reliability(bins, judge), cls="charts") if len(bins) > 1 else None


def _figure(
    title: str,
    says: str,
    xs: Sequence[float],
    lines: dict[str, list[float]],
    colours: Sequence[int],
) -> Html:
    series = [
        Series(name=name, colour=colour, xs=xs, ys=ys)
        for (name, ys), colour in zip(lines.items(), colours, strict=True)
    ]
    keys = (el("span", one.name, cls=f"key c{one.colour}") for one in series)
    return el(
        "figure",
        el("figcaption", el("b", title), el("p", says)),
        line_chart(series, title=title, unit="%", x_label="votes an order"),
        el("div", *keys, cls="keys"),
    )
