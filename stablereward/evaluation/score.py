"""Scores judgements that were made elsewhere."""

from pathlib import Path

from stablereward.errors import DataError
from stablereward.evaluation.benchmarks import find
from stablereward.evaluation.tables import Table

KINDS = (".json", ".jsonl", ".csv")
"""Endings of files that may hold judgements."""


def score_file(
    path: Path, benchmark: str, rule: str | None = None, map: str | None = None, *, data: Path | None = None
) -> Table:
    """The figures of a file of judgements, under a rule and a category map of the benchmark.

    Without names the first rule and map count, which are the authors'. `data` is the benchmark's own file,
    for judgements that come without labels.
    Raises `ConfigError` for an unknown name and `DataError` for a file that cannot be read.
    """
    return find(benchmark).score(path, rule=rule, map=map, data=data)


def score_folder(
    folder: Path, benchmark: str, rule: str | None = None, map: str | None = None, *, data: Path | None = None
) -> tuple[list[Table], list[str]]:
    """A table for each file of judgements in the folder and below, and what was left out with the reason.

    Raises `ConfigError` as `score_file`, and `DataError` where no file can be scored.
    """
    tables, left_out = [], []
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in KINDS and path.is_file()):
        try:
            tables.append(score_file(path, benchmark, rule, map, data=data))
        except DataError as error:
            left_out.append(str(error))
    if not tables:
        more = f", of which the first says: {left_out[0]}" if left_out else ""
        raise DataError(f"{folder}: none of its {len(left_out)} files can be scored{more}")
    return tables, left_out
