"""Pairs by what they hold: keys of pairs and questions, a drawn subset, pictures where theirs are missing."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import file_digest, sha256
from pathlib import Path
from random import Random

from PIL.Image import Image

from stablereward.data.prompts import transcript
from stablereward.data.responses import response_keys
from stablereward.data.toy.scenes import draw, random_scene
from stablereward.types import ImageSource, Message, Preference, Response

KEY_LETTERS = 20


def content_keys(preferences: Sequence[Preference]) -> list[str]:
    """One key a preference: a hash of all that is said, the names of image files and the repetition it is.

    Ids are left out because they repeat: 25 of VL-RewardBench's occur twice. An image in memory counts
    with its pixels, the pictures of responses as `response_keys` has them.
    """
    seen: Counter[str] = Counter()
    keys = []
    for preference in preferences:
        images = [_image_name(image) for image in preference.asked_images]
        content = json.dumps([transcript(preference), response_keys(preference), images])
        keys.append(sha256(f"{seen[content]} {content}".encode()).hexdigest()[:KEY_LETTERS])
        seen[content] += 1
    return keys


def question_keys(preferences: Sequence[Preference]) -> list[str]:
    """One key a preference, the same for all that share history, question and images; "" where all are empty.

    An image file counts with its bytes, for files of many questions have the same name; one that cannot be
    read with its whole path; an image in memory with its pixels.
    """
    keys = []
    for preference in preferences:
        images = [_image_content(image) for image in preference.asked_images]
        asked = transcript(preference)
        known = bool(asked.strip() or images)
        content = json.dumps([asked, images])
        keys.append(sha256(content.encode()).hexdigest()[:KEY_LETTERS] if known else "")
    return keys


def subset(preferences: Sequence[Preference], num: int, *, seed: int) -> list[Preference]:
    """`num` of the preferences in their order, drawn by seed and content. A smaller subset is part of it."""
    keys = content_keys(preferences)
    lots = sorted(range(len(keys)), key=lambda i: sha256(f"{seed} {keys[i]}".encode()).digest())
    return [preferences[i] for i in sorted(lots[:num])]


def with_stand_ins(preferences: Sequence[Preference]) -> tuple[list[Preference], int]:
    """The preferences with a drawn picture for each image file that is missing, and how many there are.

    The picture shows coloured shapes that depend on the question and the file's name alone. It lets a judge
    run; what the judge says of it means nothing.
    """
    drawn = 0

    def there(image: ImageSource, question: str) -> ImageSource:
        nonlocal drawn
        if not isinstance(image, Path) or image.is_file():
            return image
        drawn += 1
        return draw(random_scene(Random(f"{question} {image.name}")))

    def seen(message: Message, question: str) -> Message:
        parts = (part if isinstance(part, str) else there(part, question) for part in message.parts)
        return replace(message, parts=tuple(parts))

    def shown(response: Response, question: str) -> Response:
        return response if isinstance(response, str) else seen(response, question)

    filled = [
        replace(
            p,
            history=tuple(seen(message, p.question) for message in p.history),
            images=tuple(there(image, p.question) for image in p.images),
            responses=tuple(shown(response, p.question) for response in p.responses),
        )
        for p in preferences
    ]
    return filled, drawn


def _image_name(image: ImageSource) -> str:
    return sha256(image.tobytes()).hexdigest() if isinstance(image, Image) else image.name


def _image_content(image: ImageSource) -> str:
    if isinstance(image, Image):
        return f"{image.mode} {image.size} {_image_name(image)}"
    try:
        found = image.stat()
        return _file_hash(image, found.st_size, found.st_mtime_ns)
    except OSError:
        return str(image)


@lru_cache(maxsize=100_000)
def _file_hash(path: Path, size: int, changed: int) -> str:
    """Of a file that had this size and was changed then: a file of many pairs is read once."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
