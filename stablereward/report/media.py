"""Images of a run as data addresses: scenes at their own size, photographs made small."""

import base64
import struct
import warnings
from io import BytesIO
from itertools import groupby
from pathlib import Path

from PIL import Image

from stablereward.report.markup import Html, el
from stablereward.report.quantities import plural
from stablereward.report.run import Picture, Shown
from stablereward.report.writing import prose

TINY = 128
"""Up to this many pixels a side an image is kept as it is."""
PHOTOGRAPH = 320
STRIP, STRETCHED = 960, 3
"""The longest side of a strip of frames; what is so many times as long as high is one."""
MAX_FILE = 30_000_000
MAX_SHOWN = 4
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
BROKEN = (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError)
"""What the image library raises for files that are damaged, hostile or no images."""


def embed(path: Path) -> tuple[str, tuple[int, int]] | None:
    """The image written again as PNG or JPEG in a data address, and its size; None if it cannot be read."""
    buffer = BytesIO()
    try:
        if path.stat().st_size > MAX_FILE:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                kind, small = _scene(image) if max(image.size) <= TINY else _photograph(image)
        small.save(buffer, kind, optimize=True)
    except (*BROKEN, Image.DecompressionBombWarning):
        return None
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}", small.size


def pictures(folder: Path, names: list[str], *, alt: str = "shown to the judge") -> Html | None:
    """The named images of a run folder; an image that is missing, broken or outside it is named instead."""
    if not names:
        return None
    shown = [picture(folder, name, alt=alt) for name in names[:MAX_SHOWN]]
    more = len(names) - MAX_SHOWN
    note = el("span", f"and {plural(more, 'more image')}", cls="muted") if more > 0 else None
    return el("div", *shown, note, cls="pictures")


def response(folder: Path, shown: Shown) -> Html:
    """A response of a run: its text, or its texts and pictures in order; neighbouring pictures in a row."""
    if isinstance(shown, str):
        return prose(shown)
    pieces: list[Html | None] = []
    for kind, parts in groupby(shown, type):
        if kind is str:
            pieces.append(prose("".join(part for part in parts if isinstance(part, str))))
        else:
            pieces.append(pictures(folder, [part.image for part in parts if isinstance(part, Picture)]))
    return el("div", *pieces)


def picture(folder: Path, name: str, *, alt: str) -> Html:
    """One of them."""
    root = folder.resolve()
    path = _inside(root, name)
    found = embed(path) if path else None
    if found is None:
        return el("span", f"no image: {name[-60:]}", cls="absent")
    address, (width, height) = found
    cls = "pixels" if max(width, height) <= TINY else "photograph"
    return el("img", src=address, width=width, height=height, alt=alt, cls=cls)


def _inside(root: Path, name: str) -> Path | None:
    try:
        path = (root / name).resolve()
    except (OSError, ValueError):
        return None
    return path if path.is_relative_to(root) else None


def _scene(image: Image.Image) -> tuple[str, Image.Image]:
    return "png", image.convert("RGBA" if image.has_transparency_data else "RGB")


def _photograph(image: Image.Image) -> tuple[str, Image.Image]:
    # A strip of frames may be as long as its frames are many, not smaller for it.
    long = max(image.size) / min(image.size)
    side = STRIP if long >= STRETCHED else PHOTOGRAPH
    image.draft("RGB", (side, side))
    image.thumbnail((side, side))
    small = image.convert("RGBA")
    return "jpeg", Image.alpha_composite(Image.new("RGBA", small.size, "white"), small).convert("RGB")
