"""The fields of a row, checked: texts, labels, and images wherever a format puts them."""

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL.Image import Image

from stablereward.errors import DataError
from stablereward.images import decode_base64, decode_data_url, decode_image, frames
from stablereward.types import ImageSource

Row = Mapping[str, object]

_VIDEO_SUFFIXES = frozenset(
    {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ogv"}
)
_MAX_PATH = 1024
"""A longer text in an image field is the image itself, in base64."""


def text(row: Row, name: str, where: str) -> str:
    """The text in field `name`, which may be empty but must be there and be Unicode."""
    return as_text(row.get(name), name, where)


def response(row: Row, name: str, where: str) -> str:
    """The text in field `name`, which must say something."""
    return spoken(text(row, name, where), name, where)


def as_text(value: object, name: str, where: str) -> str:
    if value is None:
        raise DataError(f"{where}: field {name!r} is missing; add it or give the file's format by name")
    if not isinstance(value, str):
        raise DataError(f"{where}: field {name!r} is {type(value).__name__}, not text; write it as a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise DataError(
            f"{where}: field {name!r} holds half a character (a lone surrogate); repair it"
        ) from None
    return value


def spoken(value: str, name: str, where: str) -> str:
    if not value.strip():
        raise DataError(f"{where}: field {name!r} is an empty response; fill it in or remove the row")
    return value


def label(row: Row, where: str, *names: str) -> str:
    """The first of the named fields that is filled, as text: an id, a category."""
    values = ((name, row.get(name)) for name in names)
    filled = ((name, str(value)) for name, value in values if isinstance(value, str | int) and value != "")
    name, value = next(filled, ("", ""))
    return as_text(value, name, where)


def extra(row: Row, where: str, *used: str) -> dict[str, str]:
    """Every other text field of the row that is filled."""
    return {
        name: as_text(value, name, where)
        for name, value in row.items()
        if isinstance(value, str) and value and name not in used
    }


def media(row: Row, where: str, folder: Path) -> tuple[ImageSource, ...]:
    """The row's images, then the frames of its video: see `sources` for what a field may hold."""
    found: tuple[ImageSource, ...] = ()
    for names in (("images", "image", "Image", "image_path"), ("videos", "video")):
        value = next((row[name] for name in names if row.get(name)), None)
        found += sources(value, where, folder)
    return found


def sources(value: object, where: str, folder: Path) -> tuple[ImageSource, ...]:
    """Images from a path, a folder of frames, a data URL, base64, bytes, `{"bytes", "path"}` or a list.

    Relative paths start at `folder`. Files are not opened, and need not exist.
    """
    match value:
        case None | "":
            return ()
        case Image():
            return (value,)
        case bytes():
            return (decode_image(value, where),)
        case str():
            return _from_text(value, where, folder)
        case Mapping():
            names = ("bytes", "path", "image", "url", "image_url")
            return sources(next((value[name] for name in names if value.get(name)), None), where, folder)
        case Sequence():
            return tuple(source for item in value for source in sources(item, where, folder))
    raise DataError(f"{where}: an image is {type(value).__name__}; give a path or a data URL")


def _from_text(value: str, where: str, folder: Path) -> tuple[ImageSource, ...]:
    if value[:5].lower() == "data:":
        return (decode_data_url(value, where),)
    if len(value) > _MAX_PATH:
        return (decode_base64(value, where),)
    if "://" in value and not value.startswith("file:///"):
        raise DataError(
            f"{where}: image {value[:80]!r} is remote and is not fetched; save it and give its path"
        )
    path = folder / value.removeprefix("file://")
    if os.path.isdir(path):
        return frames(path, where)
    if path.suffix.lower() in _VIDEO_SUFFIXES:
        raise DataError(
            f"{where}: video {value!r} is not decoded; extract its frames into a folder and give that: "
            f"mkdir frames && ffmpeg -i {shlex.quote(value)} -vf fps=1 frames/%04d.png"
        )
    return (path,)
