"""Every vote of the measurement, read from `judgements/`: one judge a file, a pair a line."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from stablereward.errors import DataError
from stablereward.evaluation import rows
from stablereward.report.files import lines, said
from stablereward.types import Row

MAX_ROWS = 20_000
MAX_JUDGES = 24

Judged = dict[tuple[str, int], list[Row]]
"""By judge and votes an order, in the order of `results.json`; without the texts."""


def read_judged(folder: Path, measured: Sequence[tuple[str, int]], notices: list[str]) -> Judged:
    """The rows of every judge; `measured` are the judges and votes that the results name.

    A file that no result names goes by its own name. What is no row of a judged pair is noticed.
    """
    names = {rows.file_name(judge, votes): (judge, votes) for judge, votes in measured}
    paths = [path for path in sorted(folder.glob("*.jsonl")) if not path.name.startswith(".")]
    order = {name: place for place, name in enumerate(names)}
    paths.sort(key=lambda path: order.get(path.name, len(order)))
    if len(paths) > MAX_JUDGES:
        notices.append(f"{folder.name}: {len(paths) - MAX_JUDGES} more judges left out")
    judged: Judged = {}
    for path in paths[:MAX_JUDGES]:
        found = _rows(path, notices)
        if found:
            most = max(len(vote.judgements) + len(vote.failures) for row in found for vote in row.votes)
            judged[names.get(path.name, (path.stem[:80], most))] = found
    return judged


def _rows(path: Path, notices: list[str]) -> list[Row]:
    found: list[Row] = []
    for line, content in lines(path, notices):
        if not content.strip():
            continue
        if len(found) == MAX_ROWS:
            notices.append(f"{said(path)}: all after its first {MAX_ROWS} rows left out")
            break
        try:
            found.append(_without_texts(rows.parse_line(content, said(path), rows.ROW)))
        except DataError:
            notices.append(f"{said(path)}:{line} left out: not a judged pair")
    return found


def _without_texts(row: Row) -> Row:
    """The same opinions without what they wrote, which the pictures do not show."""
    votes = tuple(
        replace(vote, judgements=tuple(replace(one, text="", reasoning="") for one in vote.judgements))
        for vote in row.votes
    )
    return replace(row, votes=votes)
