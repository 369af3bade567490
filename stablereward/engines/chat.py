"""OpenAI's chat completions as servers speak them: the request for one sample, and what an answer says."""

import base64
import io
import json
import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from pydantic import BaseModel, Field, FiniteFloat, ValidationError, field_validator

from stablereward.engines.engine import Sampling
from stablereward.errors import ConfigError
from stablereward.images import load_image
from stablereward.types import Completion, Message, Prompt

NEUTRAL: Mapping[str, float] = {
    "top_k": -1,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "repeat_penalty": 1.0,  # llama.cpp's name of it
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
"""What `Sampling` does not have, switched off: unsent, vLLM and others take the model's own values."""

_BY_VALUE = ("temperature", "top_p")
_LENGTH, _NEWER_LENGTH = "max_tokens", "max_completion_tokens"

Refused = tuple[str, object]
"""A field's name that a server refuses; with its value where another value may be taken, else with None."""

NO_TEMPERATURE: Refused = ("temperature", None)
"""Of a server that takes no temperature at all: asked without it, it would sample in its own way."""

_OF_A_VALUE = re.compile(
    r"value|positive|negative|greater|less than|at least|at most|between|range|must be|should be|set to|"
    r"only \d|[<>]",
    re.IGNORECASE,
)
"""What a refusal says of a value that is out of bounds, and not of a field that is unknown."""


def request(model: str, messages: object, sampling: Sampling, k: int) -> dict[str, object]:
    """The body that asks for generation `k`; `messages` as of `messages_of`."""
    return {
        "model": model,
        "messages": messages,
        _LENGTH: sampling.max_completion_length,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        # No two generations of two consecutive sampling seeds share one.
        "seed": sampling.seed * sampling.num_generations + k,
        **NEUTRAL,
    }


def without(body: Mapping[str, object], refused: Collection[Refused]) -> dict[str, object]:
    """The request without what was refused; the length limit goes by its newer name instead."""
    kept = {name: value for name, value in body.items() if _field(name, value) not in refused}
    return kept | ({_NEWER_LENGTH: body[_LENGTH]} if _LENGTH in body.keys() - kept.keys() else {})


def refused_by(refusal: str, body: Mapping[str, object]) -> set[Refused]:
    """The fields of a request that a refusal names and that a request can do without.

    A refusal often names more than it refuses ("supported are temperature and top_p"), so only those
    come that matter least: what is switched off, then the length limit's name, seed, top_p, temperature.
    """
    if off := named_neutral(refusal, body):
        return off
    words = _words(refusal)
    top_p = {field for field in neutral(body) if field[0] in words}
    if {_LENGTH, _NEWER_LENGTH} <= words and _LENGTH in body:
        return {(_LENGTH, None)}
    if top_p:
        return top_p
    named = next((name for name in ("seed", "top_p", "temperature") if name in words & body.keys()), None)
    if named == "temperature" and not _OF_A_VALUE.search(refusal):
        return {NO_TEMPERATURE}
    return {_field(named, body[named])} if named else set()


def named_neutral(refusal: str, body: Mapping[str, object]) -> set[Refused]:
    """The fields of `NEUTRAL` in a request that a refusal names."""
    return {(name, None) for name in NEUTRAL.keys() & body.keys() & _words(refusal)}


def neutral(body: Mapping[str, object]) -> set[Refused]:
    """The fields of a request that only switch something off."""
    off = {name for name in body if name in NEUTRAL or (name == "top_p" and body[name] == 1)}
    return {_field(name, body[name]) for name in off}


def _words(text: str) -> set[str]:
    """The names in a text as requests write them: topK is top_k."""
    return set(re.findall(r"\w+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).lower()))


def _field(name: str, value: object) -> Refused:
    return name, value if name in _BY_VALUE else None


def extra_fields(pairs: Sequence[str]) -> dict[str, object]:
    """`name=value` as fields of a request; a value is JSON, or else text. Raises ConfigError."""
    fields: dict[str, object] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigError(
                f"the extra field {pair[:80]!r} has no value; write name=value, such as top_k=20"
            )
        try:
            fields[name.strip()] = json.loads(text)
        except (ValueError, RecursionError):
            fields[name.strip()] = text
    return fields


def messages_of(prompt: Prompt) -> list[dict[str, Any]]:
    """The prompt's turns. Images are PNG data URLs in their places; a turn without any is plain text, as
    text-only servers want it.

    A call of a tool has its arguments as a JSON text, and an id, which servers ask for: one without is
    numbered, and results without an id answer such calls in their order. Raises DataError for an image that
    cannot be read.
    """
    where = (prompt.preference.id if prompt.preference else "") or "prompt"
    numbers, calls = count(1), count(1)
    numbered: deque[str] = deque()
    found: list[dict[str, Any]] = []
    for message in prompt.messages:
        turn: dict[str, Any] = {"role": message.role, "content": _content(message, where, numbers)}
        if message.tool_calls:
            named = [replace(one, id=one.id or f"call_{next(calls)}") for one in message.tool_calls]
            numbered.extend(new.id for new, one in zip(named, message.tool_calls, strict=True) if not one.id)
            turn["content"] = turn["content"] or None
            turn["tool_calls"] = [
                one.in_chat(json.dumps(dict(one.arguments), ensure_ascii=False)) for one in named
            ]
        if message.tool_call_id or (message.role == "tool" and numbered):
            turn["tool_call_id"] = message.tool_call_id or numbered.popleft()
        found.append(turn)
    return found


def _content(message: Message, where: str, numbers: Iterator[int]) -> str | list[dict[str, Any]]:
    if not message.images:
        return message.text
    parts: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, str):
            parts.append({"type": "text", "text": part})
            continue
        png = io.BytesIO()
        load_image(part, f"{where}, image {next(numbers)}").save(png, format="PNG", compress_level=1)
        url = f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode('ascii')}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    return parts


def completion(reply: bytes) -> Completion:
    """The first choice of an answer, reasoning in a field of its own as `<think>…</think>` before the text.

    Where the limit came within the reasoning, the thinking stays open. Raises ValueError saying what is
    wrong.
    """
    try:
        choice = _ChatCompletion.model_validate_json(reply).choices[0]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where} {first['msg']}") from None
    finished = choice.finish_reason != "length"
    text = choice.message.text(finished)
    if text is None:
        raise ValueError(f"the message has no content; it finished with {choice.finish_reason!r}")
    tokens = choice.logprobs.content if choice.logprobs else None
    return Completion(text=text, logprobs=tuple(token.logprob for token in tokens or ()), finished=finished)


class _Message(BaseModel):
    content: str | None = None
    reasoning_content: Any = None
    reasoning: Any = None

    @field_validator("content", mode="before")
    @classmethod
    def _joined(cls, content: object) -> object:
        """A list of texts, as some servers send it, as one text; all else as it is."""
        if not isinstance(content, list) or not all(
            isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)
            for part in content
        ):
            return content
        return "".join(part["text"] for part in content) or None

    def text(self, finished: bool) -> str | None:
        """Everything that the model wrote, as one text; None where it wrote nothing and was not cut."""
        named = (self.reasoning_content, self.reasoning)
        thought = next((one for one in named if isinstance(one, str) and one.strip()), "")
        # Some servers leave the thinking in the content, too.
        if not thought or (self.content and thought.strip() in self.content):
            return self.content if self.content is not None or finished else ""
        if not self.content and not finished:
            return f"<think>{thought}"
        return f"<think>{thought}</think>{self.content or ''}"


class _Token(BaseModel):
    logprob: FiniteFloat


class _Logprobs(BaseModel):
    content: list[_Token] | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _ChatCompletion(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
