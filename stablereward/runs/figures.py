"""What a run measured in the end, by name: `figures.json`, read by the report, the command and the lab."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from stablereward.errors import DataError
from stablereward.runs.files import write_atomic

FILE = "figures.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number: a name in the recipe's words, its value, its 95 % interval and count where it has them.

    `about` says in a few words what it is, its unit included.
    """

    name: str
    value: float
    about: str
    low: float | None = None
    high: float | None = None
    n: int | None = None


def write(folder: Path, figures: Sequence[Figure]) -> None:
    """Raises ValueError for a name that comes twice or a value that is not finite, and StorageError."""
    named = {figure.name: asdict(figure) for figure in figures}
    if len(named) < len(figures):
        raise ValueError("two figures have one name")
    for content in named.values():
        del content["name"]
    text = json.dumps(named, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(folder / FILE, text + "\n")


def read(folder: Path) -> list[Figure]:
    """The figures of a run; none where it wrote none. Raises DataError for a file that is something else."""
    try:
        plain = json.loads((folder / FILE).read_bytes())
        return [TypeAdapter(Figure).validate_python({"name": n, **own}) for n, own in plain.items()]
    except FileNotFoundError:
        return []
    except (ValueError, ValidationError, TypeError, AttributeError):
        raise DataError(f"{folder / FILE}: not the figures of a run; run its last stage again") from None
