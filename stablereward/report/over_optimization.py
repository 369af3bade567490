"""Gold against proxy over n: best-of-n by each scorer, and what is lost from its best n to its last."""

from pydantic import ConfigDict

from stablereward.report.charts import Series, line_chart
from stablereward.report.files import document
from stablereward.report.markup import Html, el, join
from stablereward.report.quantities import SPACE, number
from stablereward.report.run import Record, Run

FILE = "over_optimization.json"
MAX_SCORERS = 8


class Mean(Record):
    """A mean over questions, see `evaluation.over_optimization.Mean`."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    value: float
    low: float | None = None
    high: float | None = None


class Point(Record):
    """Best-of-n by one scorer: see `evaluation.over_optimization.Point`."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    n: int
    kl: float
    proxy: Mean
    gold: Mean


class Optimised(Record):
    """The curve of one scorer: see `evaluation.over_optimization.Curve`."""

    points: tuple[Point, ...] = ()
    best_n: int
    lost: Mean


def over_optimization_section(run: Run) -> Html | None:
    """A chart of gold, one of the proxies, and a table; None where nothing was optimised."""
    notices: list[str] = []
    read: dict[str, Optimised] | None = document(dict[str, Optimised], run.folder / FILE, notices)
    curves = {name: one for name, one in (read or {}).items() if one.points}
    if not curves:
        return el("p", notices[0], cls="muted") if notices else None
    shown = dict(list(curves.items())[:MAX_SCORERS])
    head = ("scorer", "best n", "gold there", "at the last n", f"lost, 95{SPACE}% interval")
    table = el(
        "table",
        el("thead", el("tr", *(el("th", title, scope="col") for title in head))),
        el("tbody", *(_row(name, one) for name, one in shown.items())),
    )
    note = (
        "The response that a scorer chooses of n, over all subsets of n. Gold is what it is worth, proxy "
        "what the scorer says. Where gold falls while the proxy rises, the scorer is over-optimised."
    )
    charts = [_chart(shown, part) for part in ("gold", "proxy")]
    return join([*charts, el("div", table, cls="scroll"), el("p", note, cls="muted note")])


def _chart(curves: dict[str, Optimised], part: str) -> Html:
    series = [
        Series(
            name=name,
            colour=place,
            xs=[point.kl for point in one.points],
            ys=[getattr(point, part).value for point in one.points],
        )
        for place, (name, one) in enumerate(curves.items())
    ]
    keys = (
        el(
            "span",
            one.name,
            " ",
            el("b", number(one.ys[-1])),
            cls=f"key value c{one.colour}",
            data_name=one.name,
        )
        for one in series
    )
    return el(
        "figure",
        el("figcaption", el("b", f"{part.capitalize()} of best-of-n"), el("output", "")),
        line_chart(series, title=f"{part} of best-of-n", x_label=f"log{SPACE}n − (n − 1)/n"),
        el("div", *keys, cls="keys"),
    )


def _row(name: str, one: Optimised) -> Html:
    best = next((point for point in one.points if point.n == one.best_n), one.points[-1])
    return el(
        "tr",
        el("th", name, scope="row"),
        el("td", str(one.best_n)),
        el("td", number(best.gold.value)),
        el("td", number(one.points[-1].gold.value)),
        el("td", _with_interval(one.lost)),
    )


def _with_interval(mean: Mean) -> str:
    if mean.low is None or mean.high is None:
        return number(mean.value)
    return f"{number(mean.value)} [{number(mean.low)}, {number(mean.high)}]"
