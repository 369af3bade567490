"""Completions kept, so that the same question to a server is paid for once."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import BaseModel, FiniteFloat, ValidationError

from stablereward.engines.engine import Engine, Sampling
from stablereward.errors import DataError, StorageError
from stablereward.images import load_image
from stablereward.types import Completion, Failure, Message, Prompt


@dataclass(frozen=True, slots=True, eq=False)
class Cached:
    """An `Engine` that asks `engine` only what it was not asked before; failures are asked again.

    Two questions are the same with the same turns, image pixels, sampling and `identity`, which names
    what answers: the model and its version. Not for a policy in training, whose weights change.

    With `folder`, completions are appended to `completions.jsonl` in it and found by later runs; a line
    that cannot be read, such as one torn by a crash, is a question not asked before. One process at a
    time may write a folder. Raises StorageError where the file cannot be read or written.
    """

    engine: Engine
    identity: str
    folder: Path | None = None
    _known: dict[str, tuple[Completion, ...]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._path(self.folder).open("a+b") as file:
                file.seek(0)
                last = b"\n"
                for last in file:
                    self._remember(last)
                if not last.endswith(b"\n"):
                    file.write(b"\n")
        except OSError as error:
            raise StorageError(f"cannot use the cache in {self.folder}: {error.strerror}") from error

    async def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> list[tuple[Completion, ...] | Failure]:
        """See `Engine.generate`. Equal prompts in one call are asked once."""
        keys = [self._key(prompt, sampling) for prompt in prompts]
        missing = {
            key: prompt
            for key, prompt in zip(keys, prompts, strict=True)
            if isinstance(key, str) and key not in self._known
        }
        answers = await self.engine.generate(list(missing.values()), sampling) if missing else []
        fresh = dict(zip(missing, answers, strict=True))
        self._keep({key: answer for key, answer in fresh.items() if not isinstance(answer, Failure)})
        return [key if isinstance(key, Failure) else self._known.get(key) or fresh[key] for key in keys]

    def _key(self, prompt: Prompt, sampling: Sampling) -> str | Failure:
        settings = json.dumps([self.identity, *_said(prompt), asdict(sampling)])
        digest = hashlib.sha256(settings.encode("ascii"))
        for number, source in enumerate(prompt.images, start=1):
            try:
                image = load_image(source, f"prompt, image {number}")
            except DataError as error:
                return Failure(reason="bad_image", detail=str(error))
            digest.update(f"{image.mode} {image.size}".encode("ascii"))
            digest.update(image.tobytes())
        return digest.hexdigest()

    def _keep(self, answers: dict[str, tuple[Completion, ...]]) -> None:
        self._known.update(answers)
        if self.folder is None or not answers:
            return
        entries = [
            {"key": key, "completions": [asdict(completion) for completion in completions]}
            for key, completions in answers.items()
        ]
        try:
            with self._path(self.folder).open("ab") as file:
                file.write(b"".join(json.dumps(entry).encode("ascii") + b"\n" for entry in entries))
        except OSError as error:
            raise StorageError(f"cannot write the cache in {self.folder}: {error.strerror}") from error

    def _remember(self, line: bytes) -> None:
        try:
            entry = _Entry.model_validate_json(line)
        except ValidationError:
            return
        self._known[entry.key] = tuple(Completion(**c.model_dump()) for c in entry.completions)

    @staticmethod
    def _path(folder: Path) -> Path:
        return folder / "completions.jsonl"


def _said(prompt: Prompt) -> list[object]:
    """The text of one turn of a user, images first; else its turns, None where an image stands."""
    if prompt.messages == Prompt.user(prompt.text, prompt.images).messages:
        return [prompt.text]
    return ["", [_turn(message) for message in prompt.messages]]


def _turn(message: Message) -> list[object]:
    """Calls of tools, and the call that is answered, only where there are any."""
    said: list[object] = [message.role, [part if isinstance(part, str) else None for part in message.parts]]
    calls = [[call.text, call.id] for call in message.tool_calls]
    return [*said, calls, message.tool_call_id] if calls or message.tool_call_id else said


class _Completion(BaseModel):
    text: str
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[FiniteFloat, ...] = ()
    finished: bool = True


class _Entry(BaseModel):
    key: str
    completions: list[_Completion]
