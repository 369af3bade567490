"""Recipes that train a policy of texts on prompts: the run from its settings to its report."""

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

from stablereward.config import dump
from stablereward.data.questions import Question, read_questions
from stablereward.errors import ConfigError
from stablereward.policies.token import TokenPolicy
from stablereward.recipes.stages import Hardware, Lora, load_policy, stage
from stablereward.report.report import write_report
from stablereward.runs.figures import Figure, write
from stablereward.runs.folder import RunFolder, read_jsonl
from stablereward.runs.machine import keep_machine
from stablereward.runs.progress import bar, say
from stablereward.training.checkpoint import write_folder
from stablereward.training.fit import Update
from stablereward.training.learner import Learner, train

STAGE = "rl"


class Settings(Protocol):
    """What the settings of every such recipe have."""

    @property
    def model(self) -> str: ...

    @property
    def output(self) -> Path: ...

    @property
    def hardware(self) -> Hardware: ...

    @property
    def lora(self) -> Lora | None: ...


Make = Callable[[RunFolder, TokenPolicy], Learner]
Measure = Callable[[TokenPolicy], dict[str, float]]
"""What a policy does, by name."""
Shown = Mapping[str, tuple[str, str]]
"""Of a figure what it is called among the measured, and what it is."""
Course = Callable[[Sequence[Mapping[str, float]]], list[Figure]]
"""Figures of a training, from the metrics of its updates."""


def run(
    name: str,
    config: Settings,
    make: Make,
    measure: Measure,
    shown: Shown,
    *,
    course: Course = lambda rows: [],
    whole: int = 1,
    resume: bool,
) -> Path:
    """Trains the model, measures it before and after; returns the run folder, with the model in `policy/`.

    `shown` says which of the measured become figures; "start_NAME" is that of the model before training.
    "weights" is a checksum of the trained weights: equal runs have equal ones.
    """
    folder = RunFolder(config.output)
    with folder.running(dump(config), resume=resume):
        keep_machine(folder.path, name)
        target = folder.path / "policy"
        if not target.exists():
            with stage(folder, STAGE):
                _train(folder, target, make, name, config, whole)
        with stage(folder, "measurement"):
            found = _measured(config, target, measure, shown)
            write(folder.path, [*found, *course(_metrics(folder.path)), _checksum(target)])
        say(f"report: {write_report(folder.path, tell=say)}")
    return folder.path


def _measured(config: Settings, target: Path, measure: Measure, shown: Shown) -> list[Figure]:
    """The trained policy and the one before."""
    found = []
    for path, before in ((target, False), (config.model, True)):
        measured = measure(load_policy(path, config.hardware, None))
        for figure, (metric, about) in shown.items():
            name, when = (f"start_{figure}", ", before training") if before else (figure, "")
            found.append(Figure(name=name, value=measured[metric], about=about + when))
    return found


def _checksum(target: Path) -> Figure:
    checksum = 0
    for file in sorted(target.glob("*.safetensors")):
        checksum = crc32(file.read_bytes(), checksum)
    return Figure(name="weights", value=float(checksum), about="a checksum of the weights")


def _train(folder: RunFolder, target: Path, make: Make, name: str, config: Settings, whole: int) -> None:
    policy = load_policy(config.model, config.hardware, config.lora)
    learner = make(folder, policy)
    with bar(name, learner.num_updates) as progress:

        def tell(update: Update) -> None:
            progress(update.number, f"reward {update.metrics['reward/mean']:.2f}")

        save_every = config.hardware.save_every
        train(folder, STAGE, learner, save_every=save_every, progress=tell, whole=whole)
    write_folder(target, policy.save)


def _metrics(folder: Path) -> list[dict[str, Any]]:
    """Those of every update. Raises DataError for a damaged file."""
    rows = (row for _, row in read_jsonl(folder / "metrics.jsonl"))
    return [row for row in rows if row.get("stage") == STAGE and "event" not in row]


def asked(file: Path | None, num_held_out: int, seed: int) -> tuple[list[Question], list[Question]]:
    """The questions of a file: those to train on, and at most a fifth that is set apart by the seed.

    None where no file is named, so that settings can be planned with; `require_asked` then ends a run. Raises
    DataError.
    """
    if file is None:
        return [], []
    found = read_questions(file)
    random.Random(seed).shuffle(found)
    apart = max(1, min(num_held_out, len(found) // 5))
    return found[apart:] or found, found[:apart]


def require_asked(questions: Sequence[object]) -> None:
    """Raises ConfigError where there are none."""
    if not questions:
        raise ConfigError("data has no value; give a file of prompts with --set data=FILE")
