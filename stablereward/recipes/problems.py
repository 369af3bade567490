"""Problems with an answer, those of a file or of the world of sums, and whether a text has the right one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from stablereward.data.parsing import boxed
from stablereward.data.questions import Question
from stablereward.errors import DataError
from stablereward.judges.likelihood import Span, last_line
from stablereward.recipes.writers import asked
from stablereward.rewards.boxed import is_answer
from stablereward.types import Prompt
from stablereward.worlds.sums.checker import solved
from stablereward.worlds.sums.problems import problems, terms


class Problems(Protocol):
    """The settings that say where they come from: with `sums` the world, else the file."""

    @property
    def data(self) -> Path | None: ...

    @property
    def sums(self) -> bool: ...

    @property
    def num_held_out(self) -> int: ...

    @property
    def seed(self) -> int: ...


def questions(config: Problems, *, held_out: bool = False) -> list[Question]:
    """Those to train on, or those to measure on; none where no file is named."""
    if config.sums:
        made = problems(config.num_held_out if held_out else 4096, seed=config.seed, held_out=held_out)
        return [Question(prompt=prompt, answer=str(sum(terms(prompt)))) for prompt in made]
    return asked(config.data, config.num_held_out, config.seed)[held_out]


def prompts(config: Problems) -> list[Prompt]:
    """What is trained on; none where no file is named."""
    return [one.prompt for one in questions(config)]


def answer_span(config: Problems) -> Span:
    """Where a solution has its answer: the last line of a sum; what the box holds, elsewhere."""
    return last_line if config.sums else boxed


def verifier(config: Problems, known: Sequence[Question]) -> Callable[[Prompt, str], bool]:
    """Whether a text has the right answer to its question. Raises DataError for a question without one."""
    if config.sums:
        return solved
    answers = {one.prompt.text: one.answer for one in known if one.answer is not None}
    if len(answers) < len(known):
        raise DataError(f"{config.data}: {len(known) - len(answers)} questions have no answer; give each one")
    return lambda prompt, text: is_answer(text, answers[prompt.text])
