"""The runs of an experiment, arm by arm and seed by seed: skipped where done, gone on with where cut off."""

import contextlib
import json
import math
import multiprocessing
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from stablereward.config import dump, resolve
from stablereward.errors import StableRewardError, TrainingError
from stablereward.lab.experiment import Arm, Experiment, Figures
from stablereward.runs.files import write_atomic
from stablereward.runs.metrics import as_mean
from stablereward.runs.progress import say

LOG = "log.txt"
FIGURES = "figures.json"
TRIAL = "trial.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One arm of a recipe from one seed. `module` is the recipe's, for another process."""

    module: str
    arm: str
    changes: tuple[str, ...]
    seed: int

    def folder(self, lab: Path) -> Path:
        return lab / self.arm / f"seed-{self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a trial measured, how long it took and the curves that are watched, as (update, value)."""

    figures: Figures
    seconds: float
    curves: Mapping[str, Sequence[tuple[float, float]]]


def trials(module: str, arms: Mapping[str, Arm], seeds: int) -> list[Trial]:
    """Every arm from every seed, seed by seed, so that an unfinished experiment has whole rows first."""
    return [
        Trial(module=module, arm=name, changes=arm.changes, seed=seed)
        for seed in range(seeds)
        for name, arm in arms.items()
    ]


def run_all(lab: Path, experiment: Experiment, chosen: Sequence[Trial], processes: int) -> dict[Trial, Found]:
    """What every trial found. One that fails leaves its `log.txt` and is not among them.

    Raises TrainingError where a process was killed; what was found is kept, and the same call goes on.
    """
    found = {trial: known for trial in chosen if (known := read(lab, experiment, trial)) is not None}
    waiting = [trial for trial in chosen if trial not in found]
    if found:
        say(f"  {len(found)} of {len(chosen)} runs are done already")
    clock = time.perf_counter()
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawn, initializer=_one_thread) as pool:
        tasks = {pool.submit(perform, trial, lab): trial for trial in waiting}
        try:
            for number, task in enumerate(as_completed(tasks), 1):
                trial = tasks[task]
                problem = task.result()
                made = None if problem else read(lab, experiment, trial)
                left = (time.perf_counter() - clock) / number * (len(waiting) - number)
                said = problem or f"{made.seconds:.0f} s" if made else problem or "nothing found"
                where = f"{trial.arm}, seed {trial.seed}"
                say(f"  {number} of {len(waiting)}, {left:.0f} s left: {where}: {said}")
                if made is not None:
                    found[trial] = made
        except BrokenProcessPool:
            raise TrainingError(
                f"a process of the lab was killed; what is done is in {lab}: give the same command again"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {trial: found[trial] for trial in chosen if trial in found}


def perform(trial: Trial, lab: Path) -> str | None:
    """Makes the run, or goes on with it; what it says goes to `log.txt`. Returns what was wrong."""
    folder = trial.folder(lab)
    recipe: Any = import_module(trial.module)
    config = settings(recipe, trial, folder)
    kept = folder / "config.yaml"
    if kept.exists() and kept.read_text(encoding="utf-8") != dump(config):
        shutil.rmtree(folder)  # a run of other settings
    folder.mkdir(parents=True, exist_ok=True)
    clock = time.perf_counter()
    with (
        (folder / LOG).open("a", encoding="utf-8") as log,
        contextlib.redirect_stderr(log),
        contextlib.redirect_stdout(log),
    ):
        try:
            recipe.run(config, resume=True)
        except StableRewardError as error:
            print(f"{type(error).__name__}: {error}", file=log)
            return f"{error}; see {folder / LOG}"
    seconds = time.perf_counter() - clock
    about = {"settings": dump(config), "seconds": round(seconds, 2)}
    write_atomic(folder / TRIAL, json.dumps(about) + "\n")
    return None


def settings(recipe: Any, trial: Trial, folder: Path) -> Any:
    """The recipe's tiny settings with the arm's changes, the seed and the folder."""
    own = (f"seed={trial.seed}", f"output={folder}")
    return resolve(recipe.Config, None, (*trial.changes, *own), base=recipe.tiny())


def read(lab: Path, experiment: Experiment, trial: Trial) -> Found | None:
    """What a finished trial of these very settings found; None where there is none."""
    folder = trial.folder(lab)
    try:
        about = json.loads((folder / TRIAL).read_text(encoding="utf-8"))
        figures = json.loads((folder / FIGURES).read_text(encoding="utf-8"))
        if about["settings"] != dump(settings(import_module(trial.module), trial, folder)):
            return None
        values = {name: float(figure["value"]) for name, figure in figures.items()}
        return Found(
            figures=values, seconds=float(about["seconds"]), curves=_curves(folder, experiment.watched)
        )
    except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError, ValueError):
        return None


def _curves(folder: Path, watched: Sequence[tuple[str, str]]) -> dict[str, list[tuple[float, float]]]:
    path = folder / "metrics.jsonl"
    curves: dict[str, list[tuple[float, float]]] = {f"{stage} {name}": [] for stage, name in watched}
    if not watched or not path.exists():
        return {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        for stage, name in watched:
            value = as_mean(row, name)
            if row.get("stage") == stage and isinstance(value, int | float) and math.isfinite(value):
                curves[f"{stage} {name}"].append((float(row["update"]), float(value)))
    return curves


def _one_thread() -> None:
    torch.set_num_threads(1)
