"""Judges that are taught to say yes or no to a response: what such recipes share.

`judges/grade_sql.py` is one.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from stablereward.config import dump
from stablereward.errors import ConfigError, DataError
from stablereward.policies.token import TokenPolicy
from stablereward.ranges import Number, require_ranges
from stablereward.recipes import works as stages
from stablereward.recipes.stages import Hardware, Lora, cold_start, load_policy, stage
from stablereward.report.report import write_report
from stablereward.runs.figures import Figure, write
from stablereward.runs.folder import RunFolder
from stablereward.runs.machine import keep_machine
from stablereward.runs.progress import say
from stablereward.training.imitation import SFTConfig
from stablereward.training.planning import Work
from stablereward.types import Prompt

STAGE = "cold_start"
YES, NO = "Yes", "No"

Sides = tuple[Sequence[Prompt], Sequence[Prompt]]
"""What is asked of the right responses to a question, and of the wrong ones."""
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """What such a recipe sets: the word is learnt by `training`, its tokens alone.

    `balanced` takes as many right as wrong responses to a question; `shuffled` deals the words at random:
    the control.
    """

    model: str
    data: Path | None = None
    output: Path
    balanced: bool = True
    shuffled: bool = False
    training: SFTConfig = field(default_factory=SFTConfig)
    lora: Lora | None = None
    hardware: Hardware = field(default_factory=Hardware)
    seed: Number = 0

    def __post_init__(self) -> None:
        require_ranges(self)


def words(questions: Iterable[Sides], config: Taught) -> list[tuple[Prompt, str]]:
    """What is asked with the word to say; a question without a right and a wrong response is left out."""
    rng = random.Random(config.seed)
    found: list[tuple[Prompt, str]] = []
    for sides in questions:
        least = min(map(len, sides))
        for side, word in zip(sides, (YES, NO), strict=True) if least else ():
            taken = rng.sample(side, len(side))
            found += [(prompt, word) for prompt in (taken[:least] if config.balanced else taken)]
    if config.shuffled:
        dealt = [word for _, word in found]
        rng.shuffle(dealt)
        found = [(prompt, word) for (prompt, _), word in zip(found, dealt, strict=True)]
    return found


def run(
    name: str,
    config: Taught,
    load: Callable[[bool], Sequence[Found]],
    sides: Callable[[Found], Sides],
    measure: Callable[[TokenPolicy, Sequence[Found]], list[Figure]],
    *,
    blank: Callable[[Path], Path] | None = None,
    resume: bool,
) -> Path:
    """Trains and measures; returns the run folder, in which `cold_start/` is the judge.

    `load` gives the questions to learn from, or with True those held out. With `blank` the judge begins as
    the model that it makes in a folder. Raises ConfigError and DataError where there is nothing to learn.
    """
    if config.data is None and blank is None:
        raise ConfigError("data has no value; give a file of questions with responses with --set data=FILE")
    folder = RunFolder(config.output)
    with folder.running(dump(config), resume=resume):
        keep_machine(folder.path, name)
        model = config.model if blank is None else blank(folder.path / "blank")
        with stage(folder, "data"):
            shown, held_out = words(map(sides, load(False)), config), load(True)
            if not shown or not held_out:
                raise DataError("no question has both a right candidate and a wrong one that ran")
            say(f"  {len(shown)} candidates to learn from, {len(held_out)} questions held out")
        with stage(folder, STAGE):
            judge = cold_start(
                folder, model, shown, config.training, config.hardware, config.lora, config.seed
            )
        with stage(folder, "measurement"):
            write(folder.path, measure(load_policy(judge, config.hardware, None), held_out))
        say(f"report: {write_report(folder.path, tell=say)}")
    return folder.path


def works(config: Taught) -> list[Work]:
    """Training as a planner of memory sees it."""
    return [stages.imitating(STAGE, config, config.training, 2)]
