"""Chat messages, in the spellings of TRL, ShareGPT, OpenAI and LLaMA-Factory → history, question, reply."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stablereward.data.formats.fields import Row, as_text, label, media, sources, spoken
from stablereward.data.prompts import spoken_by
from stablereward.errors import DataError
from stablereward.types import ImageSource, Message, Part, Preference, ToolCall, merged

_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "observation": "tool",
    "tool_response": "tool",
}
_CALLS = ("function_call", "tool_call")
"""Roles of turns whose text is a call of a tool."""
_PLACEHOLDER = re.compile(r"(<(?:image|video)>)\n?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message as a file has it. A part that is None is a picture that the row holds in another field."""

    role: str
    parts: tuple[Part | None, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""

    @property
    def message(self) -> Message:
        """The same without the pictures that are elsewhere."""
        parts = merged([part for part in self.parts if part is not None])
        return Message(self.role, parts, self.tool_calls, self.tool_call_id)

    @property
    def text(self) -> str:
        """Its texts, joined as they stand."""
        return self.message.text


def turns(value: object, name: str, where: str, folder: Path) -> tuple[Turn, ...]:
    """The messages in field `name`: `{role, content}` or `{from, value}`, or a list, or text of the user."""
    if isinstance(value, str):
        return (Turn(role="user", parts=(as_text(value, name, where),)),)
    messages = [value] if isinstance(value, Mapping) else value
    if not isinstance(messages, Sequence) or not messages:
        raise DataError(f"{where}: field {name!r} holds no messages; give a list of {{role, content}}")
    return tuple(_turn(message, name, where, folder) for message in messages)


def preference(
    row: Row,
    context: Sequence[Turn],
    responses: Sequence[str],
    where: str,
    folder: Path,
    ranks: Sequence[int] = (0, 1),
) -> Preference:
    """The row's preference: the last turn of `context` is its question, where that is the user's, and the
    turns before are its history; its first response is the best.

    Images come from the row's own fields, otherwise from the messages. The row's own go where the marks
    `<image>` stand, in order, where there are as many; else before the turn with the first mark, or before
    the user's first turn. Images of the question are shown before its text.
    """
    shown = _shown(context, media(row, where, folder))
    *history, last = shown
    if last.role != "user" or last.tool_calls or (history and not merged(last.parts)):
        history, last = shown, Message("user", ("",))
    return Preference(
        question=last.text,
        responses=tuple(responses),
        ranks=tuple(ranks),
        images=last.images,
        id=label(row, where, "id"),
        category=label(row, where, "category"),
        history=tuple(history),
    )


def of_whole(
    row: Row, chosen: Sequence[Turn], rejected: Sequence[Turn], where: str, folder: Path
) -> Preference:
    """The preference of two conversations that differ in their last turn."""
    before = [[replace(turn, parts=(turn.text,)) for turn in whole[:-1]] for whole in (chosen, rejected)]
    if not before[0] or before[0] != before[1]:
        raise DataError(f"{where}: 'chosen' and 'rejected' do not begin with one conversation; add 'prompt'")
    pair = [
        spoken(spoken_by([whole[-1].message]), name, where)
        for name, whole in (("chosen", chosen), ("rejected", rejected))
    ]
    return preference(row, chosen[:-1], pair, where, folder)


def reply(value: object, name: str, where: str, folder: Path) -> str:
    """A response given as text, as a message or as a list of messages."""
    said = spoken_by([turn.message for turn in turns(value, name, where, folder)])
    return spoken(said, name, where)


def calls(value: object, name: str, where: str) -> tuple[ToolCall, ...]:
    """Calls of tools: `{name, arguments}`, alone, in `function`, in a list, or as the JSON of these."""
    given = _parsed(value, name, where)
    return tuple(_call(one, name, where) for one in ([given] if isinstance(given, Mapping) else given))


def images_of(context: Sequence[Turn]) -> tuple[ImageSource, ...]:
    """The images inside the messages, in order."""
    return tuple(image for turn in context for image in turn.message.images)


def _shown(context: Sequence[Turn], media: tuple[ImageSource, ...]) -> list[Message]:
    """The turns with their pictures, and without the marks of these."""
    if not media:
        seen = bool(images_of(context))
        return [(_unmarked(turn) if seen else turn).message for turn in context]
    marked = [_marked(turn) for turn in context]
    marks = [number for number, turn in enumerate(marked) for part in turn.parts if part is None]
    if len(marks) == len(media):
        left = iter(media)
        return [_filled(turn, left).message for turn in marked]
    first = marks[0] if marks else next((n for n, turn in enumerate(marked) if turn.role == "user"), 0)
    at = marked[first]
    marked[first] = replace(at, parts=(*media, *at.parts))
    return [turn.message for turn in marked]


def _marked(turn: Turn) -> Turn:
    """The turn with None for every mark, and without pictures of its own: the row's are meant."""
    parts = (part for part in turn.parts if part is None or isinstance(part, str))
    pieces = (piece for part in parts for piece in _pieces(part))
    return replace(turn, parts=tuple(pieces))


def _pieces(part: str | None) -> Iterator[str | None]:
    if part is None:
        yield None
        return
    for number, piece in enumerate(_PLACEHOLDER.split(part)):
        yield None if number % 2 else piece


def _unmarked(turn: Turn) -> Turn:
    parts = (_PLACEHOLDER.sub("", part) if isinstance(part, str) else part for part in turn.parts)
    return replace(turn, parts=tuple(parts))


def _filled(turn: Turn, media: Iterator[ImageSource]) -> Turn:
    return replace(turn, parts=tuple(next(media) if part is None else part for part in turn.parts))


def _turn(message: object, name: str, where: str, folder: Path) -> Turn:
    if not isinstance(message, Mapping):
        raise DataError(f"{where}: field {name!r} holds something that is no message; give {{role, content}}")
    role = as_text(message.get("role", message.get("from")), f"{name}.role", where).lower()
    content = message.get("content", message.get("value"))
    if role in _CALLS:
        made = calls(as_text(content, f"{name}.content", where), name, where)
        return Turn(role="assistant", tool_calls=made)
    called = calls(message.get("tool_calls") or [], name, where)
    if content is None and called:
        content = ""
    return Turn(
        role=_ROLES.get(role, role),
        parts=_parts(content, name, where, folder),
        tool_calls=called,
        tool_call_id=label(message, where, "tool_call_id"),
    )


def _parts(content: object, name: str, where: str, folder: Path) -> tuple[Part | None, ...]:
    if isinstance(content, str):
        return (as_text(content, f"{name}.content", where),)
    if not isinstance(content, Sequence):
        raise DataError(f"{where}: field {name!r} has a message without content; add its text")
    found: list[Part | None] = []
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "text":
            found.append(as_text(part.get("text") or part.get("value") or "", f"{name}.text", where))
        elif kind in {"image", "image_url", "video"}:
            value = next((part[key] for key in (kind, "value", "path", "url") if part.get(key)), None)
            found.extend(sources(value, where, folder) if value else (None,))
        else:
            raise DataError(
                f"{where}: field {name!r} has a part of type {kind!r}; only text and images are read"
            )
    return tuple(found)


def _call(value: object, name: str, where: str) -> ToolCall:
    call = value.get("function", value) if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(call, Mapping):
        raise DataError(f"{where}: field {name!r} holds something that is no call of a tool")
    arguments = _parsed(call.get("arguments") or {}, name, where)
    if not isinstance(arguments, Mapping):
        raise DataError(
            f"{where}: field {name!r} has a tool's arguments without names; give them as a mapping"
        )
    return ToolCall(
        as_text(call.get("name"), f"{name}.tool_calls.name", where), arguments, label(value, where, "id")
    )


def _parsed(value: object, name: str, where: str) -> Mapping[str, object] | list[object]:
    try:
        found = json.loads(value) if isinstance(value, str) else value
        json.dumps(
            found, ensure_ascii=False, allow_nan=False
        ).encode()  # half a character, and what no JSON holds
    except (ValueError, TypeError):
        found = None
    if not isinstance(found, Mapping | list):
        raise DataError(
            f"{where}: field {name!r} has a call of a tool that is no JSON; write name and arguments"
        )
    return found
