"""Files of a run read with bounded sizes: what cannot be read becomes a notice, never an error."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import TypeAdapter, ValidationError

MAX_LINE = 4_000_000
MAX_DOCUMENT = 20_000_000
FOLDERS = ("rollouts", "judgements")


def said(path: Path) -> str:
    """A file's name as notices say it, with its folder where that is one inside the run."""
    return f"{path.parent.name}/{path.name}" if path.parent.name in FOLDERS else path.name


def content(path: Path, notices: list[str]) -> bytes | None:
    """The file's bytes; None where it is absent, too large or cannot be read."""
    try:
        if path.stat().st_size > MAX_DOCUMENT:
            notices.append(f"{said(path)} left out: larger than {MAX_DOCUMENT // 1_000_000} MB")
            return None
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        notices.append(f"{said(path)} cannot be read ({error.strerror})")
        return None


def text(path: Path, notices: list[str]) -> str:
    """The file's text, what is no UTF-8 replaced; empty where it is absent."""
    found = content(path, notices) or b""
    try:
        return found.decode()
    except UnicodeDecodeError:
        notices.append(
            f"{said(path)}: not all of it is UTF-8; the rest is shown as \N{REPLACEMENT CHARACTER}"
        )
        return found.decode(errors="replace")


def document(kind: Any, path: Path, notices: list[str]) -> Any:
    """A JSON file as `kind`, or None where it is absent or malformed."""
    found = content(path, notices)
    if found is None:
        return None
    try:
        return TypeAdapter(kind).validate_python(json.loads(found))
    except (ValueError, RecursionError) as error:
        notices.append(f"{said(path)} left out: {reason(error)}")
        return None


def objects(path: Path, notices: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of each line of a JSON lines file; other lines are noticed."""
    for line, found in lines(path, notices):
        try:
            row = json.loads(found) if found.strip() else {}
        except (ValueError, RecursionError):
            notices.append(f"{said(path)}:{line} left out: {_torn(found)}")
            continue
        if isinstance(row, dict):
            yield line, row
        else:
            notices.append(f"{said(path)}:{line} left out: not an object")


def lines(path: Path, notices: list[str]) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line of a file; none where it is absent. One beyond MAX_LINE is noticed."""
    try:
        with path.open("rb") as file:
            line = 0
            while found := file.readline(MAX_LINE):
                line += 1
                if len(found) == MAX_LINE and not found.endswith(b"\n"):
                    notices.append(f"{said(path)}:{line} left out: longer than {MAX_LINE // 1_000_000} MB")
                    _skip_line(file)
                else:
                    yield line, found
    except FileNotFoundError:
        return
    except OSError as error:
        notices.append(f"{said(path)} cannot be read ({error.strerror})")


def _skip_line(file: BinaryIO) -> None:
    while (rest := file.readline(MAX_LINE)) and not rest.endswith(b"\n"):
        pass


def _torn(line: bytes) -> str:
    return "not JSON" if line.endswith(b"\n") else "cut off in the middle (is the run still writing?)"


def reason(error: Exception) -> str:
    """The first complaint in one line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error).splitlines()[0]
