"""This package's own rows: question, N responses, ranks or best, images, history, id, category, extra.

A response is a text, a picture `{"image": "a.png"}`, a clip `{"frames": ["1.png", "2.png"]}` or the folder
of its frames, or a list of such pieces in order. `history` is a list of messages,
`{"role", "content"}`, whose content is such a response or nothing.
"""

from collections.abc import Mapping
from pathlib import Path

from stablereward.data.formats.conversation import calls
from stablereward.data.formats.fields import Row, as_text, label, media, sources, spoken, text
from stablereward.errors import DataError
from stablereward.types import Message, Part, Preference, Response, pictured


def matches(row: Row) -> bool:
    return "question" in row and "responses" in row


def read(row: Row, where: str, folder: Path) -> Preference:
    """`ranks`: one per response, 0 the best, equal ranks tie; or `best`: an index from 0; or neither."""
    responses = row.get("responses")
    if not isinstance(responses, list) or len(responses) < 2:
        raise DataError(
            f"{where}: field 'responses' is not a list of two or more texts or pictures; write it as one"
        )
    names = [f"responses[{i}]" for i in range(len(responses))]
    extra = row.get("extra") or {}
    if not isinstance(extra, Mapping):
        raise DataError(f"{where}: field 'extra' is not a mapping from names to texts")
    return Preference(
        question=text(row, "question", where),
        responses=tuple(
            _response(value, name, where, folder) for name, value in zip(names, responses, strict=True)
        ),
        ranks=_ranks(row, len(responses), where),
        images=media(row, where, folder),
        id=label(row, where, "id"),
        category=label(row, where, "category"),
        history=_history(row.get("history") or [], where, folder),
        extra={str(name): as_text(value, f"extra.{name}", where) for name, value in extra.items()},
    )


def _history(value: object, where: str, folder: Path) -> tuple[Message, ...]:
    if not isinstance(value, list) or not all(isinstance(turn, Mapping) for turn in value):
        raise DataError(f"{where}: field 'history' is not a list of messages; give {{role, content}} in each")
    return tuple(
        Message(
            as_text(turn.get("role"), "history.role", where),
            tuple(_pieces(turn.get("content") or [], "history.content", where, folder)),
            calls(turn.get("tool_calls") or [], "history", where),
            label(turn, where, "tool_call_id"),
        )
        for turn in value
    )


def _response(value: object, name: str, where: str, folder: Path) -> Response:
    if not isinstance(value, Mapping | list):
        return spoken(as_text(value, name, where), name, where)
    parts = _pieces(value, name, where, folder)
    if not any(not isinstance(part, str) or part.strip() for part in parts):
        raise DataError(f"{where}: field {name!r} is an empty response; fill it in or remove the row")
    return pictured(*parts)


def _pieces(value: object, name: str, where: str, folder: Path) -> list[Part]:
    return [
        p for one in (value if isinstance(value, list) else [value]) for p in _parts(one, name, where, folder)
    ]


def _parts(value: object, name: str, where: str, folder: Path) -> tuple[Part, ...]:
    if isinstance(value, str):
        return (as_text(value, name, where),)
    given = value.keys() & {"image", "frames"} if isinstance(value, Mapping) else set()
    if not isinstance(value, Mapping) or len(given) != 1:
        raise DataError(
            f"{where}: field {name!r} holds what is neither text nor picture; write a text, "
            '{"image": PATH} or {"frames": [PATH, …]}'
        )
    found = sources(value[given.pop()], f"{where}: field {name!r}", folder)
    if not found:
        raise DataError(f"{where}: field {name!r} names no picture; give the path of one")
    return found


def _ranks(row: Row, num_responses: int, where: str) -> tuple[int, ...] | None:
    ranks, best = row.get("ranks"), row.get("best")
    if ranks is None and best is None:
        return None
    if ranks is None:
        if type(best) is not int or not 0 <= best < num_responses:
            raise DataError(f"{where}: field 'best' is {best!r}; give an index from 0 to {num_responses - 1}")
        return tuple(int(i != best) for i in range(num_responses))
    if not isinstance(ranks, list) or len(ranks) != num_responses or any(type(r) is not int for r in ranks):
        raise DataError(f"{where}: field 'ranks' is not one whole number per response, 0 the best")
    return tuple(ranks)
