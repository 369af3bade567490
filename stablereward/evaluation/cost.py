"""What judging costs: seconds and tokens, a line a batch in a file of its own.

Apart from the rows, because time is never twice the same and a resumed run must end with the same rows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Annotated, NamedTuple

from pydantic import BaseModel, Field, FiniteFloat, NonNegativeInt, ValidationError

from stablereward.engines.engine import Engine, Sampling
from stablereward.errors import DataError, StorageError
from stablereward.evaluation.files import problem
from stablereward.evaluation.rows import read_bytes
from stablereward.judges.protocol import Opinion, PreferenceJudge
from stablereward.types import Completion, Failure, Preference, Prompt


class Tokens(NamedTuple):
    """So far: tokens read in prompts, each counted as often as it was judged from, and tokens written."""

    prompt: int = 0
    completion: int = 0


Meter = Callable[[], Tokens]


@dataclass(slots=True)
class Counting:
    """An `Engine` that counts the tokens that pass through it. `length(prompt)` is in tokens."""

    engine: Engine
    length: Callable[[Prompt], int]
    tokens: Tokens = field(default=Tokens(), init=False)

    async def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> list[tuple[Completion, ...] | Failure]:
        """See `Engine.generate`."""
        answers = await self.engine.generate(prompts, sampling)
        read, written = self.tokens
        for prompt, answer in zip(prompts, answers, strict=True):
            if not isinstance(answer, Failure):
                read += self.length(prompt) * len(answer)
                written += sum(len(completion.token_ids) for completion in answer)
        self.tokens = Tokens(read, written)
        return answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Means over judgements, failed ones included.

    `seconds` of the whole batch divided by its judgements, so what a judgement costs and not how long one
    takes; `prompt_tokens` is the mean prompt's length, which is read once for all the votes on it where the
    engine can, and of a scalar judge what it reads, each response once for both orders; both tokens are None
    where a server keeps them to itself.
    """

    judgements: int
    seconds: float
    prompt_tokens: float | None
    completion_tokens: float | None


class _Line(BaseModel):
    judgements: NonNegativeInt
    seconds: Annotated[FiniteFloat, Field(ge=0)]
    prompt_tokens: NonNegativeInt | None = None
    completion_tokens: NonNegativeInt | None = None


@dataclass(frozen=True, slots=True)
class Metered:
    """A judge whose costs are appended to a file."""

    judge: PreferenceJudge
    path: Path
    meter: Meter | None = None

    async def opinions(
        self, preferences: Sequence[Preference], *, votes: int = 1, both_orders: bool = False
    ) -> list[tuple[Opinion, ...]]:
        """See `PreferenceJudge.opinions`. Raises `StorageError` where the file cannot be written."""
        before, began = self.meter and self.meter(), perf_counter()
        heard = await self.judge.opinions(preferences, votes=votes, both_orders=both_orders)
        line = _Line(judgements=sum(map(len, heard)), seconds=round(perf_counter() - began, 6))
        if self.meter is not None and before is not None:
            after = self.meter()
            line.prompt_tokens = after.prompt - before.prompt
            line.completion_tokens = after.completion - before.completion
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line.model_dump_json(exclude_none=True) + "\n")
        except OSError as error:
            raise StorageError(
                f"{self.path}: cannot be written ({error.strerror}); free some space"
            ) from error
        return heard


def read(path: Path) -> Cost | None:
    """All lines together; None without any. What was judged twice, because of a kill, was paid twice."""
    if not path.exists():
        return None
    lines = []
    # The last line may be torn by a kill.
    for number, line in enumerate(read_bytes(path).split(b"\n")[:-1], 1):
        try:
            lines.append(_Line.model_validate_json(line))
        except ValidationError as error:
            said = f"not costs of a measurement ({problem(error)}); delete the file to go on without them"
            raise DataError(f"{path}:{number}: {said}") from None
    judgements = sum(line.judgements for line in lines)
    if not judgements:
        return None
    return Cost(
        judgements=judgements,
        seconds=sum(line.seconds for line in lines) / judgements,
        prompt_tokens=_mean([line.prompt_tokens for line in lines], judgements),
        completion_tokens=_mean([line.completion_tokens for line in lines], judgements),
    )


def _mean(tokens: Sequence[int | None], judgements: int) -> float | None:
    known = [some for some in tokens if some is not None]
    return sum(known) / judgements if len(known) == len(tokens) else None
