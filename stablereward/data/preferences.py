"""Preference files: read any known format row by row, write this package's own."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import islice
from pathlib import Path

from PIL import Image

from stablereward.data.formats import FORMATS, Format
from stablereward.errors import ConfigError, DataError, StorageError, did_you_mean
from stablereward.images import load_image
from stablereward.types import ImageSource, Message, Preference, Response

MAX_ROW_BYTES = 16 * 1024 * 1024
MAX_ARRAY_BYTES = 512 * 1024 * 1024

_LINES = frozenset({".jsonl", ".ndjson"})
_NumberedRow = tuple[str, object]
"""A row's place, and what is there; or the DataError that says why nothing can be read."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that cannot be read; the error's message begins with its place."""

    where: str
    error: DataError


def read_preferences(
    path: Path,
    *,
    format: str | None = None,
    limit: int | None = None,
    images_root: Path | None = None,
    require_images: bool = True,
) -> Iterator[Preference]:
    """The preferences of a JSONL, JSON or Parquet file, one by one, at most `limit`.

    `format` is a name in `formats.FORMATS`; without it the first row decides. Relative image paths start
    at `images_root`, or else at the file's own folder. With `require_images=False` image files may be
    missing. JSONL and Parquet are streamed: memory does not grow with the file.

    Raises ConfigError for an unknown format, and DataError naming the file, the line and the field for a
    file or a row that cannot be read.
    """
    return _readable(
        read_rows(path, format=format, limit=limit, images_root=images_root, require_images=require_images)
    )


def read_rows(
    path: Path,
    *,
    format: str | None = None,
    limit: int | None = None,
    images_root: Path | None = None,
    require_images: bool = True,
) -> Iterator["Preference | Unreadable"]:
    """`read_preferences` with what is wrong with a row in its place, where the rows after it can be read.

    Raises ConfigError and DataError for what is no matter of one row, such as a file that is not there.
    """
    if format is not None and format not in FORMATS:
        hint = did_you_mean(format, FORMATS)
        raise ConfigError(f"there is no format {format!r}{hint} ({', '.join(FORMATS)})")
    try:
        path.open("rb").close()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    rows = islice(rows_of(path), limit)
    return _preferences(rows, path, None if format is None else FORMATS[format], images_root, require_images)


def _readable(rows: Iterable[Preference | Unreadable]) -> Iterator[Preference]:
    for row in rows:
        if isinstance(row, Unreadable):
            raise row.error
        yield row


def write_preferences(path: Path, preferences: Iterable[Preference]) -> None:
    """Writes a `.jsonl` file in this package's format; the file appears whole or not at all.

    Image files are named by their path, relative where they lie below the file's folder. Images in
    memory become PNG files in `images/` beside the file, named after their content.

    Raises StorageError where a file cannot be written and DataError for a row that could not be read
    back.
    """
    if path.suffix not in _LINES:
        raise DataError(f"{path}: preferences are written as JSON lines; end the name with .jsonl")
    with _replacing(path) as temporary, temporary.open("wb") as stream:
        for number, preference in enumerate(preferences, 1):
            stream.write(_line(preference, f"{path}:{number}", path.parent))
        stream.flush()
        os.fsync(stream.fileno())


def _preferences(
    rows: Iterable[_NumberedRow],
    path: Path,
    reader: Format | None,
    images_root: Path | None,
    require_images: bool,
) -> Iterator[Preference | Unreadable]:
    for where, row in rows:
        try:
            if isinstance(row, DataError):
                raise row
            if not isinstance(row, Mapping):
                raise DataError(f"{where}: a row is {type(row).__name__}; write one JSON object per row")
            reader = reader or _detect(row, where)
            preference = _preference(reader, row, where, images_root or path.parent)
            if require_images:
                for image in preference.all_images:
                    _require(image, where)
        except DataError as error:
            yield Unreadable(where, error)
        else:
            yield preference


def _preference(reader: Format, row: Mapping[str, object], where: str, folder: Path) -> Preference:
    try:
        return replace(reader.read(row, where, folder), where=where)
    except RecursionError:
        raise DataError(f"{where}: the row is nested too deeply; flatten it") from None


def _detect(row: Mapping[str, object], where: str) -> Format:
    found = next((candidate for candidate in FORMATS.values() if candidate.matches(row)), None)
    if found is None:
        fields = ", ".join(" ".join(str(name).split()) for name in row)[:200]
        raise DataError(
            f"{where}: no known format has the fields {fields or 'of an empty row'}; "
            "rename them to question, responses, best, or name the format (--format or data.format): "
            f"{', '.join(FORMATS)}"
        )
    return found


def _require(image: ImageSource, where: str) -> None:
    if isinstance(image, Path) and not os.path.isfile(image):
        raise DataError(
            f"{where}: image {str(image)[:300]!r} does not exist; correct the path, or name the folder that "
            "image paths start from (images_root)"
        )


def rows_of(path: Path) -> Iterator[_NumberedRow]:
    """The rows of a file, each with the words that say where it is. Raises DataError."""
    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return _parquet_rows(path)
    if suffix in _LINES or (suffix == ".json" and not _is_array(path)):
        return _json_lines(path)
    if suffix == ".json":
        return _json_array(path)
    raise DataError(f"{path}: not a .jsonl, .json or .parquet file; convert it to one of them")


def _json_lines(path: Path) -> Iterator[_NumberedRow]:
    with path.open("rb") as stream:
        for number in range(1, 1 << 62):
            line = stream.readline(MAX_ROW_BYTES + 1)
            if not line:
                return
            where = f"{path}:{number}"
            if len(line) > MAX_ROW_BYTES:
                limit = f"{MAX_ROW_BYTES // 1024**2} MiB"
                yield (
                    where,
                    DataError(f"{where}: row longer than {limit}; keep images in files of their own"),
                )
                while line and not line.endswith(b"\n"):
                    line = stream.readline(MAX_ROW_BYTES)
            elif line.strip():
                yield where, _json_or_error(line, where)


def _json_array(path: Path) -> Iterator[_NumberedRow]:
    if path.stat().st_size > MAX_ARRAY_BYTES:
        raise DataError(f"{path}: JSON array larger than {MAX_ARRAY_BYTES // 1024**2} MiB; write JSON lines")
    rows = _json(path.read_bytes(), str(path))
    assert isinstance(rows, list)
    for number, row in enumerate(rows, 1):
        yield f"{path}: row {number}", row


def _is_array(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["


def _json(content: bytes, where: str) -> object:
    try:
        return json.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise DataError(f"{where}: not UTF-8 text; save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON ({error.msg} at column {error.colno}); correct it") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: JSON that cannot be read ({str(error)[:80]}); correct it") from None


def _json_or_error(content: bytes, where: str) -> object:
    try:
        return _json(content, where)
    except DataError as error:
        return error


def _parquet_rows(path: Path) -> Iterator[_NumberedRow]:
    try:
        arrow = import_module("pyarrow")
        parquet = import_module("pyarrow.parquet")
    except ModuleNotFoundError:
        raise DataError(f"{path}: Parquet needs pyarrow; pip install 'stablereward[data]'") from None
    try:
        with parquet.ParquetFile(path) as table:
            batches = (batch.to_pylist() for batch in table.iter_batches(batch_size=16))
            rows = (row for batch in batches for row in batch)
            yield from ((f"{path}: row {number}", row) for number, row in enumerate(rows, 1))
    except (arrow.ArrowException, OSError) as error:
        reason = str(error).partition("\n")[0][:200]
        raise DataError(f"{path}: not a readable Parquet file ({reason}); write it again") from None


def _line(preference: Preference, where: str, folder: Path) -> bytes:
    row = {
        "id": preference.id,
        "category": preference.category,
        "question": preference.question,
        "responses": [_written(response, where, folder) for response in preference.responses],
        "ranks": preference.ranks,
        "images": [_image_name(image, where, folder) for image in preference.images],
        "extra": dict(preference.extra),
        "history": [_turn(message, where, folder) for message in preference.history],
    }
    filled = {name: value for name, value in row.items() if name in {"question", "responses"} or value}
    try:
        line = json.dumps(filled, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        raise DataError(f"{where}: a text holds half a character (a lone surrogate); repair it") from None
    if len(line) > MAX_ROW_BYTES:
        raise DataError(f"{where}: row longer than {MAX_ROW_BYTES // 1024**2} MiB; shorten its texts")
    FORMATS["stablereward"].read(json.loads(line), where, folder)  # refuse now what could not be read back
    return line


def _written(response: Response, where: str, folder: Path) -> object:
    if isinstance(response, str):
        return response
    if response.tool_calls:
        raise DataError(f"{where}: a response calls tools, which no row can say; give the calls as text")
    return _content(response, where, folder)


def _content(message: Message, where: str, folder: Path) -> list[object]:
    return [
        part if isinstance(part, str) else {"image": _image_name(part, where, folder)}
        for part in message.parts
    ]


def _turn(message: Message, where: str, folder: Path) -> dict[str, object]:
    row: dict[str, object] = {"role": message.role, "content": _content(message, where, folder)}
    if message.tool_calls:
        row["tool_calls"] = [call.in_chat(dict(call.arguments)) for call in message.tool_calls]
    return row | ({"tool_call_id": message.tool_call_id} if message.tool_call_id else {})


def _image_name(image: ImageSource, where: str, folder: Path) -> str:
    if isinstance(image, Image.Image):
        upright = load_image(image, where)
        content = f"{upright.width}x{upright.height}:".encode() + upright.tobytes()
        file = folder / "images" / f"{hashlib.sha256(content).hexdigest()[:32]}.png"
        if not file.exists():
            with _replacing(file) as temporary:
                upright.save(temporary, format="PNG")
        image = file
    absolute, root = image.absolute(), folder.absolute()
    return str(absolute.relative_to(root) if absolute.is_relative_to(root) else absolute)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary file that becomes `path` when the block ends well and disappears when it does not."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(
            f"{path}: cannot be written ({reason}); free space or choose another folder"
        ) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
