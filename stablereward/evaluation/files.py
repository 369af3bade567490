"""Files that other projects wrote: JSON, JSON lines and CSV, checked against a form before use.

A form is a pydantic model, or another type that pydantic knows, with the fields that are needed; others are
ignored.
"""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from stablereward.errors import DataError

MAX_BYTES = 512 * 1024 * 1024

T = TypeVar("T")


def read_rows(path: Path, form: type[T]) -> list[T]:
    """The rows of a JSON array, of JSON lines or of a CSV file with a header.

    Raises `DataError` naming file, row and field.
    """
    adapter = TypeAdapter(form)
    return [_checked(adapter, row, where) for where, row in _rows(path)]


def read_table(path: Path, form: type[T], key: str) -> list[T]:
    """As `read_rows`, and a JSON object of columns, as `datasets` writes a table with `to_dict`.

    It is one where its field `key` is a list. Columns are as long as that one; other values hold for no row.
    Raises `DataError` naming file, row and field.
    """
    adapter = TypeAdapter(form)
    where, columns = next(_rows(path), ("", None))
    values = columns.items() if isinstance(columns, dict) else ()
    lists = {name: column for name, column in values if isinstance(column, list)}
    if key not in lists:
        return read_rows(path, form)
    length = len(lists[key])
    short = [f"{name} {len(column)}" for name, column in lists.items() if len(column) != length]
    if short:
        lengths = one_line(f"{key} {length}, {', '.join(short)}")[:300]
        raise DataError(f"{where}: columns of unequal length: {lengths}; correct them")
    return [
        _checked(adapter, {name: column[i] for name, column in lists.items()}, f"{where}: row {i + 1}")
        for i in range(length)
    ]


def read_document(path: Path, form: type[T]) -> T:
    """A JSON file as one value. Raises `DataError` naming the file and the field."""
    return _checked(TypeAdapter(form), _json(_text(path), str(path)), str(path))


def fields(path: Path) -> frozenset[str]:
    """The field names of the first row, or of the whole where the file is one JSON object: what form it has.

    Raises `DataError` for a file without any.
    """
    _, row = next(_rows(path), ("", None))
    if not isinstance(row, dict) or not row:
        raise DataError(f"{path}: holds no JSON objects or CSV rows; check that it is the file you mean")
    return frozenset(row)


def unknown_form(path: Path, known: str) -> DataError:
    """The error for a file whose fields match no form of the benchmark."""
    found = one_line(", ".join(sorted(map(str, fields(path)))))[:200]
    return DataError(f"{path}: no known form has the fields {found}; known are {known}")


def problem(error: ValidationError) -> str:
    """The first thing that a form found wrong, on one line."""
    first = error.errors()[0]
    field = ".".join(map(str, first["loc"]))[:200]
    return one_line(f"field {field!r}: {first['msg']}" if field else first["msg"])


def one_line(text: str) -> str:
    """The text with its line ends and control characters written as escapes: file content in a message."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _rows(path: Path) -> Iterator[tuple[str, object]]:
    text = _text(path)
    if path.suffix.lower() == ".csv":
        try:
            for number, row in enumerate(csv.DictReader(io.StringIO(text)), 1):
                yield f"{path}: row {number}", row
        except csv.Error as error:
            raise DataError(f"{path}: not a readable CSV file ({error}); write it again") from None
    elif text.lstrip()[:1] == "[":
        array = _json(text, str(path))
        assert isinstance(array, list)
        for number, row in enumerate(array, 1):
            yield f"{path}: row {number}", row
    elif path.suffix.lower() == ".json" and not _is_lines(text):
        yield str(path), _json(text, str(path))
    else:
        # Not splitlines: JSON strings may hold other line separators, such as U+2028.
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield f"{path}:{number}", _json(line, f"{path}:{number}")


def _is_lines(text: str) -> bool:
    first = text.lstrip().partition("\n")[0].rstrip()
    return first.startswith("{") and first.endswith("}") and len(first) < len(text.strip())


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path}: larger than {MAX_BYTES // 1024**2} MiB; split it")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text; save the file as UTF-8") from None


def _json(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON ({error.msg} at column {error.colno}); correct it") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: JSON that cannot be read ({str(error)[:80]}); correct it") from None


def _checked(adapter: TypeAdapter[T], value: object, where: str) -> T:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise DataError(f"{where}: {problem(error)}; correct the row or name another benchmark") from None
