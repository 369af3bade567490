"""Files written whole or not at all, whoever writes them."""

import errno
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stablereward.errors import StorageError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the system's refusal to write (full disk, no permission) into StorageError."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "free some space" if full else "check the folder's permissions"
        cause = error.strerror or str(error)
        raise StorageError(f"{path}: cannot be written: {cause}; {advice}, then resume the run") from error


def write_atomic(path: Path, text: str) -> None:
    """Writes a whole file or leaves what was there."""
    partial = path.with_name(f".partial-{path.name}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)


def to_jsonl(rows: Sequence[Mapping[str, Any]]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
