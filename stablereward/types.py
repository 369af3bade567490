"""The nouns, in the order they occur.

    file row → Preference → Prompt → Completion → Reward → Group → update
                                          └→ Judgement → Vote → Row

Shape letters used in names everywhere: B trajectories, G group size, N responses, T steps
(tokens, for language models), P prompt tokens, V vocabulary, K votes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

from PIL.Image import Image

ImageSource = Image | Path
"""An image in memory, or the path of a file that is opened when it is needed."""

Part = str | ImageSource
"""A piece of what is said: text, or a picture in its place. A clip is its frames in time order."""

_EMPTY: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What an assistant asks of a tool: its name, its arguments by name as JSON has them, and the call's id.

    "" is no id: the results then come in the order of the calls.
    """

    name: str
    arguments: Mapping[str, Any]
    id: str = ""

    @property
    def text(self) -> str:
        """The call in words, for who reads text alone: one line of JSON."""
        return json.dumps({"name": self.name, "arguments": dict(self.arguments)}, ensure_ascii=False)

    def in_chat(self, arguments: object) -> dict[str, object]:
        """The call as chats hold it, with its id where it has one. Templates want `arguments` as a mapping,
        servers as a text of JSON."""
        function = {"name": self.name, "arguments": arguments}
        return ({"id": self.id} if self.id else {}) | {"type": "function", "function": function}


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat. `role` is "user", "assistant", "system", "tool" or another that the chat template
    knows.

    An assistant's turn may call tools after its text. A tool's turn is the result of the call
    `tool_call_id`.
    """

    role: str
    parts: tuple[Part, ...]
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""

    @property
    def text(self) -> str:
        """Its texts, joined as they stand."""
        return "".join(part for part in self.parts if isinstance(part, str))

    @property
    def images(self) -> tuple[ImageSource, ...]:
        """Its pictures, in order."""
        return tuple(part for part in self.parts if not isinstance(part, str))


Response = str | Message
"""What is compared: a text, or a turn of the assistant, such as one that holds pictures or calls a tool."""


def pictured(*parts: Part) -> Message:
    """A response of pictures, or of pictures and texts in order."""
    return Message("assistant", parts)


def parts_of(response: Response) -> tuple[Part, ...]:
    """What a response is made of; a text is one part, and so is a call of a tool, in words."""
    if isinstance(response, str):
        return (response,)
    return (*response.parts, *(f"\n{call.text}" for call in response.tool_calls))


def images_of(response: Response) -> tuple[ImageSource, ...]:
    """The pictures of a response, in order; a text has none."""
    return () if isinstance(response, str) else response.images


def merged(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The same with neighbouring texts as one, and without empty ones."""
    found: list[Part] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part != "":
            found.append(part)
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """A question with N responses and, where known, which of them people prefer.

    `ranks[i]` is the rank of `responses[i]`, 0 the best; equal ranks are ties; None is unlabelled.
    `images` belong to the question and are shown before its text; the frames of a video are images in time
    order. Pictures of a response are the response's own, and go where it goes. `history` is what was said
    before the question: a system prompt, earlier turns. `where` is the row it was read from, as file and
    line; it says nothing of what the preference is.
    """

    question: str
    responses: tuple[Response, ...]
    ranks: tuple[int, ...] | None = None
    images: tuple[ImageSource, ...] = ()
    id: str = ""
    category: str = ""
    extra: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    history: tuple[Message, ...] = ()
    where: str = field(default="", compare=False, repr=False)

    @property
    def name(self) -> str:
        """What a message calls it: its row, or its id where it is from no file."""
        return self.where or f"preference {self.id!r}"

    @property
    def messages(self) -> tuple[Message, ...]:
        """What the responses answer: the history, then the question as the user's turn.

        An empty question without images after a history is no turn: the responses then follow the history,
        as after the result of a tool.
        """
        if self.history and not (self.question or self.images):
            return self.history
        return (*self.history, Message("user", (*self.images, self.question)))

    @property
    def asked_images(self) -> tuple[ImageSource, ...]:
        """The pictures of the history, then the question's."""
        return (*(image for message in self.history for image in message.images), *self.images)

    @property
    def all_images(self) -> tuple[ImageSource, ...]:
        """The pictures of the history, the question's, then those of the responses in the order shown."""
        return (*self.asked_images, *(image for response in self.responses for image in images_of(response)))

    @property
    def best(self) -> int | None:
        """Index of the preferred response; None without a label or with a tie at the top."""
        if self.ranks is None:
            return None
        top = min(self.ranks)
        return self.ranks.index(top) if self.ranks.count(top) == 1 else None

    def reordered(self, order: tuple[int, ...]) -> "Preference":
        """The same preference with `responses[order[0]]` shown first, and so on."""
        ranks = None if self.ranks is None else tuple(self.ranks[i] for i in order)
        return replace(self, responses=tuple(self.responses[i] for i in order), ranks=ranks)

    def swapped(self) -> "Preference":
        """The responses in reverse order."""
        return self.reordered(tuple(reversed(range(len(self.responses)))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a model is shown: messages, after which the turn is the model's.

    `preference` is what they were made from, with its responses in the order shown.
    """

    messages: tuple[Message, ...]
    preference: Preference | None = None

    @classmethod
    def user(
        cls, text: str, images: Sequence[ImageSource] = (), preference: Preference | None = None
    ) -> "Prompt":
        """One turn of a user: images, then text."""
        return cls(messages=(Message("user", (*images, text)),), preference=preference)

    @property
    def text(self) -> str:
        """What its messages say, with an empty line between two."""
        return "\n\n".join(message.text for message in self.messages)

    @property
    def images(self) -> tuple[ImageSource, ...]:
        """The pictures of all messages, in order."""
        return tuple(image for message in self.messages for image in message.images)


class Trajectory(Protocol):
    """What a policy did on one prompt, in T steps: tokens, denoising steps or actions."""

    @property
    def logprobs(self) -> Sequence[float]:
        """Of every step, when it was taken; empty where that is not known, as for a demonstration."""
        ...

    @property
    def num_steps(self) -> int:
        """T."""
        ...

    @property
    def finished(self) -> bool:
        """Whether it ended by itself, and no limit cut it."""
        ...


P = TypeVar("P")
T = TypeVar("T", bound=Trajectory)


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What an engine wrote: a `Trajectory` of tokens.

    `token_ids` and `logprobs` are of the sampled tokens, end token included; the latter of the distribution
    that was drawn from, and of a greedy token at temperature 1. `finished` is False where the length limit
    cut it. Engines that only return text leave both tuples empty.
    """

    text: str
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    finished: bool = True

    @property
    def num_steps(self) -> int:
        """How many tokens it has."""
        return len(self.token_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Something that could not be done. It is counted by `reason` and never becomes a number."""

    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """A training signal and the named parts it was made of.

    `steps` holds a score for each of the trajectory's T steps, None where a step is not judged (the tokens
    within a line, where a line is judged at its end). Empty where the reward says nothing of steps.
    """

    value: float
    parts: Mapping[str, float] = field(default_factory=dict)
    steps: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Generic[P, T]):
    """One prompt, its G trajectories and, once they are known, what each earned."""

    prompt: P
    trajectories: tuple[T, ...]
    rewards: tuple[Reward | Failure, ...] = ()

    def rewarded(self) -> "Group[P, T]":
        """The trajectories that have a reward."""
        pairs = [
            (t, r) for t, r in zip(self.trajectories, self.rewards, strict=False) if isinstance(r, Reward)
        ]
        return replace(self, trajectories=tuple(t for t, _ in pairs), rewards=tuple(r for _, r in pairs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One opinion. `choice` is an index into `Preference.responses`, whatever order was shown.

    `confidence` is the probability, in [0, 1], that the judge gave its choice; None where it tells none.
    """

    choice: int
    reasoning: str = ""
    text: str = ""
    order: tuple[int, ...] = (0, 1)
    num_tokens: int = 0
    # Left out of repr, which seeds the draw of smaller votes, for its last digits differ between machines.
    confidence: float | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """K opinions taken together.

    `choice` is the majority (None on a tie or when every opinion failed); `probabilities[i]` is the
    share of valid opinions for `responses[i]`, all zero when every opinion failed.
    """

    choice: int | None
    probabilities: tuple[float, ...]
    judgements: tuple[Judgement, ...] = ()
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One judged item of a benchmark: the label and the vote in each order shown.

    Rows of one `cluster` share a question, so they are not independent; "" shares with none.
    """

    id: str
    category: str
    best: int
    votes: tuple[Vote, ...]
    # Left out of repr, which seeds the draw of smaller votes: what a judge said does not depend on it.
    cluster: str = field(default="", repr=False)
