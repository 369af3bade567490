"""The one-method protocol of everything that writes text, and how to sample from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, runtime_checkable

from stablereward.ranges import Count, NotNegative, Range, require_ranges
from stablereward.types import Completion, Failure, Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to sample. `temperature=0` is greedy. `max_completion_length` is in tokens."""

    num_generations: Count = 1
    temperature: NotNegative = 1.0
    top_p: Annotated[float, Range(0, 1, above=True)] = 1.0
    max_completion_length: Count = 1024
    seed: Annotated[int, Range()] = 0

    def __post_init__(self) -> None:
        require_ranges(self)


class Engine(Protocol):
    """Writes completions for prompts."""

    async def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> list[tuple[Completion, ...] | Failure]:
        """`sampling.num_generations` completions for each prompt, in the order of the prompts.

        A prompt that cannot be answered is a Failure in its place; the others are not affected.
        """
        ...


Finished = Callable[[int, int, Completion], None]
"""Told of a completion: the place of its prompt, the number of its generation (both from 0), and itself."""


@runtime_checkable
class StreamingEngine(Engine, Protocol):
    """An engine that says what is written before all is written. No engine has to be one."""

    def stream(
        self, prompts: Sequence[Prompt], sampling: Sampling, finished: Finished
    ) -> list[tuple[Completion, ...] | Failure]:
        """Writes in the caller's thread; returns what `generate` returns.

        `finished` is called there, in any order, once for each completion that is returned. What it
        raises ends the writing and is raised.
        """
        ...
