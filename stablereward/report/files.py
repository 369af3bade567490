"""Files of a run read with bounded sizes: what cannot be read becomes a notice, never an error."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

MAX_LINE = 4_000_000


def text(path: Path, notices: list[str]) -> str:
    """The file's text; empty where it is absent."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        notices.append(f"{path.name} cannot be read ({error.strerror})")
        return ""


def document(kind: Any, path: Path, notices: list[str]) -> Any:
    """A JSON file as `kind`, or None where it is absent or malformed."""
    content = text(path, notices)
    if not content:
        return None
    try:
        return TypeAdapter(kind).validate_python(json.loads(content))
    except (ValueError, RecursionError) as error:
        notices.append(f"{path.name} left out: {reason(error)}")
        return None


def objects(path: Path, notices: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of each line of a JSON lines file; a torn last line is passed over."""
    try:
        with path.open("rb") as file:
            line = 0
            while content := file.readline(MAX_LINE):
                line += 1
                try:
                    row = json.loads(content) if content.strip() else {}
                except (ValueError, RecursionError):
                    if content.endswith(b"\n"):
                        notices.append(f"{path.name}:{line} left out: not JSON")
                    continue
                if isinstance(row, dict):
                    yield line, row
                else:
                    notices.append(f"{path.name}:{line} left out: not an object")
    except FileNotFoundError:
        return
    except OSError as error:
        notices.append(f"{path.name} cannot be read ({error.strerror})")


def reason(error: Exception) -> str:
    """The first complaint in one line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error).splitlines()[0]
