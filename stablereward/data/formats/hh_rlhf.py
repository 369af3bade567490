"""Anthropic's HH-RLHF: `{chosen, rejected}`, whole dialogues, `\\n\\nHuman: …\\n\\nAssistant: …`.

https://github.com/anthropics/hh-rlhf
"""

import re
from pathlib import Path

from stablereward.data.formats.conversation import Turn, of_whole
from stablereward.data.formats.fields import Row, text
from stablereward.errors import DataError
from stablereward.types import Preference

_SPEAKER = re.compile(r"\n\n(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


def matches(row: Row) -> bool:
    pair = (row.get("chosen"), row.get("rejected"))
    return all(isinstance(whole, str) and whole.startswith("\n\nHuman:") for whole in pair)


def read(row: Row, where: str, folder: Path) -> Preference:
    chosen, rejected = (_turns(text(row, name, where), name, where) for name in ("chosen", "rejected"))
    return of_whole(row, chosen, rejected, where, folder)


def _turns(whole: str, name: str, where: str) -> list[Turn]:
    before, *said = _SPEAKER.split(whole)
    found = [
        Turn(role=_ROLES[speaker], parts=(words.removeprefix(" "),))
        for speaker, words in zip(said[::2], said[1::2], strict=True)
    ]
    if before or not found or found[-1].role != "assistant":
        raise DataError(
            f"{where}: field {name!r} does not go from '\\n\\nHuman:' to '\\n\\nAssistant:'; write it so"
        )
    return found
