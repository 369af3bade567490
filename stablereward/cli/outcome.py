"""What a finished run has to say: its results, where its time went, its files."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from stablereward.report.files import objects
from stablereward.report.quantities import is_number
from stablereward.runs import figures


def show_outcome(folder: Path) -> None:
    """Prints the tables of a run folder and the paths in it, as far as the recipe writes them."""
    console = Console(highlight=False, markup=False)
    parts: list[Table | Text] = []
    if (folder / "results.json").exists():
        parts += [_results(folder / "results.json"), Text()]
    if measured := figures.read(folder):
        parts += [_figures(measured), Text()]
    if (folder / "timings.jsonl").exists():
        parts += [_stages(folder / "timings.jsonl"), Text()]
    console.print(Group(*parts))
    report = folder / "report.html"
    # Not through rich, which would break a long path.
    print(f"report: {report}" if report.exists() else f"written to {folder}")


def _results(path: Path) -> Table:
    """The rows of `results.json`; their meaning is that of `evaluation.metrics.Summary`."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    title = f"{max(row['n'] for row in rows)} held-out pairs, each in both orders"
    table = Table("judge", title=title, title_justify="left", box=None, pad_edge=False)
    for column in ("votes", "accuracy", "95 %\ninterval", "right in\nboth", "same\nchoice", "no\nverdict"):
        table.add_column(column, justify="right")
    for row in rows:
        low, high = row["interval"]
        shares = (row[name] for name in ("accuracy_both_orders", "order_consistency", "parse_failures"))
        table.add_row(
            row["judge"],
            str(row["votes"]),
            _percent(row["accuracy_mean"]),
            f"{low:.1%}–{high:.1%}",
            *(_percent(share) for share in shares),
        )
    return table


def _figures(measured: Sequence[figures.Figure]) -> Table:
    table = Table("figure", box=None, pad_edge=False)
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    table.add_column("")
    for one in measured:
        ends = "" if one.low is None or one.high is None else f"{one.low:.4g} to {one.high:.4g}"
        table.add_row(one.name, f"{one.value:.4g}", ends, one.about)
    return table


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _stages(path: Path) -> Table:
    seconds: dict[str, float] = {}
    for _, row in objects(path, []):  # the report says what cannot be read
        stage, spent = row.get("stage"), row.get("seconds")
        if row.get("event") == "stage" and isinstance(stage, str) and is_number(spent):
            seconds[stage] = seconds.get(stage, 0.0) + spent
    table = Table("stage", box=None, pad_edge=False)
    table.add_column("seconds", justify="right")
    for stage, spent in seconds.items():
        table.add_row(stage, f"{spent:.0f}")
    table.add_row("together", f"{sum(seconds.values()):.0f}")
    return table
