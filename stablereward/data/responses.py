"""Responses in other forms: in words for who reads texts alone, and as keys by their content."""

import json
import os
from hashlib import sha256
from pathlib import Path

from PIL.Image import Image

from stablereward.types import ImageSource, Preference, Response, parts_of

PICTURE = "[picture]"


def in_words(response: Response) -> str:
    """The text of a response, with `[picture]` where a picture stands."""
    return "".join(part if isinstance(part, str) else PICTURE for part in parts_of(response))


def response_keys(preference: Preference) -> list[str]:
    """One key a response: a text is its own; of pictures, their files' paths, or their pixels in memory.

    Paths count from the folder that all pictures of the responses have in common, so that keys are the same
    wherever the data lies, and two clips whose frames have the same names differ. No file is opened.
    """
    files = [part for r in preference.responses for part in parts_of(r) if isinstance(part, Path)]
    root = os.path.commonpath([os.path.abspath(file.parent) for file in files]) if files else ""

    def key(response: Response) -> str:
        if isinstance(response, str):
            return response
        parts = [
            part if isinstance(part, str) else {"image": _name(part, root)} for part in parts_of(response)
        ]
        return json.dumps(parts)

    return [key(response) for response in preference.responses]


def _name(image: ImageSource, root: str) -> str:
    if isinstance(image, Image):
        return sha256(image.tobytes()).hexdigest()
    return Path(os.path.relpath(os.path.abspath(image), root)).as_posix()
