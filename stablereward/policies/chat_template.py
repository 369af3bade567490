"""A model's chat template: where it stands, the day it believes in, and what it writes around a turn."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from pydantic import BaseModel, ValidationError

from stablereward.errors import ModelError

TODAY = datetime(2024, 7, 26)
"""What a template gets that asks for the date: the day that Llama's own names where there is no clock."""

_FILES = ("chat_template.json", "processor_config.json")
_CLOCK = re.compile(r"""strftime_now\s*\(\s*(['"])([^'"\\]*)\1\s*\)""")
_OPENED = re.compile(r"<think>\s*\Z")
_MARK = "stablereward-turn"

Template = str | dict[str, str] | None
"""One template, or several by name of which "default" is meant."""


class _File(BaseModel):
    chat_template: Template = None


def find_template(folder: Path, processor: Any) -> Template:
    """The template of a model folder, in the order in which transformers looks for it.

    A processor's own file comes before what its tokenizer says; a tokenizer alone has what it says, or
    that file. The date in it stands still. Raises ValueError for a file that cannot be read, and
    ModelError for a date that cannot be pinned.
    """
    tokenizer = getattr(processor, "tokenizer", processor)
    said: Template = getattr(processor, "chat_template", None) or tokenizer.chat_template
    filed = next((found for name in _FILES if (found := _filed(folder / name))), None)
    template = (said or filed) if processor is tokenizer else (filed or said)
    if isinstance(template, dict):
        return {name: pinned(one, folder) for name, one in template.items()}
    return None if template is None else pinned(template, folder)


def _filed(path: Path) -> Template:
    if not path.exists():
        return None
    try:
        return _File.model_validate_json(path.read_bytes()).chat_template
    except ValidationError as error:
        raise ValueError(f"{path.name}: {error.errors()[0]['msg']}") from error


def pinned(template: str, folder: Path) -> str:
    """The template with `TODAY` for the date: a prompt must be the same tomorrow. Raises ModelError."""
    still = _CLOCK.sub(lambda call: json.dumps(TODAY.strftime(call[2])), template)
    if re.search(r"strftime_now\b(?!\s+is\s+(not\s+)?defined\b)", still):
        raise ModelError(
            f"{folder}: the chat template prints today's date in a way that cannot be pinned, so that no run "
            "could be repeated; write a fixed date into the template"
        )
    return still


def opened_by(rendered: str) -> str:
    """The start of the completion that a rendered prompt has written already: `<think>` at its end, or ""."""
    found = _OPENED.search(rendered)
    return found[0] if found else ""


def after_opening(opened: str, text: str) -> str:
    """What is left to write of `text` after a rendered prompt. Text that does not think ends the thinking."""
    if text.startswith(opened):
        return text.removeprefix(opened)
    rest = text.lstrip()
    return rest.removeprefix("<think>").lstrip() if rest.startswith("<think>") else f"</think>{text}"


def opens_thinking(processor: Any) -> bool:
    """Whether the template writes `<think>` itself where the model goes on."""
    return bool(opened_by(_rendered(processor, ("user", "?"))))


def end_of_turn(processor: Any) -> int | None:
    """The token with which the template ends an assistant's turn; None where it writes none there."""
    tokenizer = getattr(processor, "tokenizer", processor)
    _, said, after = _rendered(processor, ("user", "?"), ("assistant", _MARK)).rpartition(_MARK)
    if not said:
        return None
    first: list[int] = tokenizer(after.lstrip(), add_special_tokens=False)["input_ids"][:1]
    return first[0] if first and first[0] in tokenizer.added_tokens_decoder else None


def keeps_places(processor: Any) -> bool:
    """Whether an image between two texts of a user is written between them, and not before both."""
    with_image = _rendered(processor, ("user", _MARK, None, "?")).rpartition(_MARK)[2]
    return with_image != _rendered(processor, ("user", _MARK, "?")).rpartition(_MARK)[2]


def shows_answers(processor: Any) -> bool:
    """Whether an image in an assistant's turn is written at all."""
    asked = ("user", "?")
    without = _rendered(processor, asked, ("assistant", _MARK))
    return _rendered(processor, asked, ("assistant", None, _MARK)) not in ("", without)


def _rendered(processor: Any, *turns: tuple[str | None, ...]) -> str:
    """Turns, each a role and its texts, None for an image, ready for the assistant's where the last is the
    user's.

    "" where there is no template, or where it asks for more than these.
    """
    alone = not hasattr(processor, "tokenizer")
    image = {"type": "image"}
    chat = [
        {
            "role": role,
            "content": "".join(part or "" for part in parts)
            if alone
            else [image if part is None else {"type": "text", "text": part} for part in parts],
        }
        for role, *parts in turns
    ]
    try:
        rendered: str = processor.apply_chat_template(
            chat, add_generation_prompt=turns[-1][0] == "user", tokenize=False
        )
    except (TemplateError, TypeError, ValueError):
        return ""
    return rendered
