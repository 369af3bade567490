"""TRL's conversational preferences: `{prompt, chosen, rejected, images}` with lists of messages.

Without `prompt`, chosen and rejected are whole conversations that differ in the last message. The same
under the names `chosen_messages` and `rejected_messages` is LLaMA-Factory's v1 form.
Hugging Face documentation: trl/dataset_formats
"""

from pathlib import Path

from stablereward.data.formats.conversation import of_whole, preference, reply, turns
from stablereward.data.formats.fields import Row
from stablereward.types import Preference

_PAIR = ("chosen", "rejected")


def matches(row: Row) -> bool:
    return all(isinstance(_field(row, name), list) for name in _PAIR)


def read(row: Row, where: str, folder: Path) -> Preference:
    if row.get("prompt"):
        context = turns(row["prompt"], "prompt", where, folder)
        pair = [reply(_field(row, name), name, where, folder) for name in _PAIR]
        return preference(row, context, pair, where, folder)
    chosen, rejected = (turns(_field(row, name), name, where, folder) for name in _PAIR)
    return of_whole(row, chosen, rejected, where, folder)


def _field(row: Row, name: str) -> object:
    return row.get(name, row.get(f"{name}_messages"))
