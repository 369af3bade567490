"""The rows of the data that a run left out: how many of each kind, and the first of them."""

from collections import Counter, defaultdict

from stablereward.report.files import objects
from stablereward.report.markup import Html, el
from stablereward.report.run import Run

FILE = "left_out.jsonl"
SHOWN = 3
MAX_LENGTH = 300


def rows_left_out_section(run: Run) -> Html | None:
    """A table of kinds with their first examples; None where every row was taken."""
    counts: Counter[str] = Counter()
    examples: defaultdict[str, list[str]] = defaultdict(list)
    for _, row in objects(run.folder / FILE, run.notices):
        kind = str(row.get("kind", ""))[:40]
        counts[kind] += 1
        if len(examples[kind]) < SHOWN:
            examples[kind].append(str(row.get("reason", ""))[:MAX_LENGTH])
    if not counts:
        return None
    head = el("tr", *(el("th", name) for name in ("Kind", "Rows", "The first")))
    rows = [
        el(
            "tr",
            el("td", kind.replace("_", " ")),
            el("td", str(count)),
            el("td", *(el("div", one) for one in examples[kind])),
        )
        for kind, count in counts.most_common()
    ]
    return el("table", el("thead", head), el("tbody", *rows))
