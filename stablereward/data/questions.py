"""Questions without responses: prompt files, with answers where these can be checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stablereward.data.formats import FORMATS
from stablereward.data.formats.conversation import turns
from stablereward.data.preferences import rows_of
from stablereward.errors import DataError
from stablereward.types import Prompt

FIELDS = ("prompt", "question", "problem")
ANSWERS = ("answer", "ground_truth")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A prompt and, where it is known, the answer that is right."""

    prompt: Prompt
    answer: str | None = None


def read_questions(path: Path) -> list[Question]:
    """The questions of a JSONL, JSON or Parquet file, in order.

    A row has its text in "prompt", "question" or "problem", as a text or as turns of a chat, after which the
    assistant's is due, and may have an "answer". A file of preferences gives their questions, with history
    and images. Raises DataError naming the file, the row and the field.
    """
    if not path.is_file():
        raise DataError(f"{path}: cannot be read (no such file); check the path")
    found = [_question(row, where, path.parent) for where, row in rows_of(path)]
    if not found:
        raise DataError(f"{path}: no questions in it; give at least one")
    return found


def _question(row: object, where: str, folder: Path) -> Question:
    if not isinstance(row, Mapping):
        raise DataError(f"{where}: a row is {type(row).__name__}; write one JSON object per row")
    reader = next((one for one in FORMATS.values() if one.matches(row)), None)
    if reader is not None:
        preference = reader.read(row, where, folder)
        return Question(prompt=Prompt(messages=preference.messages))
    name = next((field for field in FIELDS if field in row), None)
    if name is None:
        raise DataError(f"{where}: no field {', '.join(FIELDS)}; name the question's text one of these")
    prompt = _asked(row[name], name, where, folder)
    answer = next((row[field] for field in ANSWERS if row.get(field) is not None), None)
    return Question(prompt=prompt, answer=None if answer is None else str(answer))


def _asked(value: object, name: str, where: str, folder: Path) -> Prompt:
    """The text, or the turns of a chat."""
    if isinstance(value, str) and value.strip():
        return Prompt.user(text=value)
    said = [turn.message for turn in turns(value, name, where, folder)] if isinstance(value, list) else []
    if not said or said[-1].role not in ("user", "tool") or not (said[-1].text.strip() or said[-1].images):
        raise DataError(
            f"{where}: field {name!r} is neither a text nor a chat in which the assistant's turn is due"
        )
    return Prompt(messages=tuple(said))
