"""Images from files, bytes and data URLs, as upright RGB pictures. Nothing is ever fetched.

Every image is untrusted: bytes and pixels are bounded before anything is decoded, and only formats
without scripts, references or vector code are opened.
"""

import base64
import binascii
import io
import re
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from stablereward.errors import DataError
from stablereward.types import ImageSource

MAX_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 64_000_000
MAX_FRAMES = 32
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"})

_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error)
"""What Pillow raises, format by format, on bytes that are cut or altered."""


def load_image(source: ImageSource, where: str) -> Image.Image:
    """An RGB image: EXIF orientation applied, transparency laid on white, first frame of an animation.

    Raises DataError, beginning with `where`, for a missing, damaged, foreign or oversized image.
    """
    if isinstance(source, Image.Image):
        return _upright_rgb(source, where)
    try:
        with source.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{where}: image {str(source)!r} cannot be read ({reason}); check the path") from None
    return decode_image(content, f"{where}: {str(source)!r}")


def decode_image(content: bytes, where: str) -> Image.Image:
    """The same from the bytes of an image file."""
    if len(content) > MAX_BYTES:
        raise DataError(f"{where}: image larger than {MAX_BYTES // 1024**2} MiB; scale it down")
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except _TOO_LARGE:
        raise DataError(_too_many_pixels(where)) from None
    except _DAMAGED:
        raise DataError(f"{where}: not an image ({', '.join(FORMATS)}); replace or convert it") from None
    return _upright_rgb(image, where)


def decode_base64(text: str, where: str) -> Image.Image:
    """The same from base64, with or without line breaks."""
    if len(text) > MAX_BYTES * 3 // 2:
        raise DataError(f"{where}: image larger than {MAX_BYTES // 1024**2} MiB; scale it down")
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise DataError(f"{where}: not base64 image data; encode the file's bytes again") from None
    return decode_image(content, where)


def decode_data_url(text: str, where: str = "data URL") -> Image.Image:
    """The image in `data:image/png;base64,…`."""
    head, _, body = text.partition(",")
    if not re.fullmatch(r"data:image/[\w.+-]{1,40};base64", head.strip()[:80], re.IGNORECASE):
        raise DataError(f"{where}: not an image data URL; write data:image/png;base64,…")
    return decode_base64(body, where)


def frames(folder: Path, where: str) -> tuple[Path, ...]:
    """At most 32 images of a folder, evenly spaced, in natural order (`f2.png` before `f10.png`).

    Folders in it and hidden files are no frames.
    The spacing is that of R1-Reward's evaluation (https://arxiv.org/abs/2505.02835).
    """
    try:
        named = [file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES]
        files = [file for file in named if not file.name.startswith(".") and not file.is_dir()]
    except OSError as error:
        raise DataError(f"{where}: folder {str(folder)!r} cannot be read ({error.strerror})") from None
    if not files:
        raise DataError(f"{where}: no images in folder {str(folder)!r}; extract the video's frames into it")
    files.sort(key=lambda file: _natural(file.name))
    if len(files) <= MAX_FRAMES:
        return tuple(files)
    return tuple(files[i] for i in np.linspace(0, len(files) - 1, MAX_FRAMES, dtype=int))


def _upright_rgb(image: Image.Image, where: str) -> Image.Image:
    if image.width * image.height > MAX_PIXELS:
        raise DataError(_too_many_pixels(where))
    try:
        image = ImageOps.exif_transpose(image)
        if image.mode.startswith("I"):  # Pillow clips 16-bit grey to 255 instead of scaling it
            image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
        if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
            layer = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        return image.convert("RGB")
    except _TOO_LARGE:
        raise DataError(_too_many_pixels(where)) from None
    except _DAMAGED:
        raise DataError(f"{where}: image is damaged or cut short; replace it") from None


def _too_many_pixels(where: str) -> str:
    return f"{where}: image has more than {MAX_PIXELS // 10**6} million pixels; scale it down"


def _natural(name: str) -> list[int | str]:
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)]
