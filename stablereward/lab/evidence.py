"""The evidence of a recipe: what all arms and seeds measured, as a file that pages are made of."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from stablereward.errors import DataError
from stablereward.lab.experiment import Experiment, Tested, tested
from stablereward.lab.trials import Found, Trial
from stablereward.runs.files import write_atomic

POINTS = 60
"""Points kept of a curve."""
LIBRARIES = ("torch", "transformers", "diffusers", "gymnasium", "numpy")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmEvidence:
    """One arm: `figures[name]` has a value for each of `seeds`, `curves[name]` the mean over them."""

    about: str
    changes: tuple[str, ...]
    seeds: tuple[int, ...]
    seconds: tuple[float, ...]
    figures: Mapping[str, tuple[float, ...]]
    curves: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that was measured, with what it takes to measure it again."""

    recipe: str
    command: str
    commit: str
    machine: str
    versions: Mapping[str, str]
    arms: Mapping[str, ArmEvidence]

    def by_seed(self) -> dict[int, dict[str, dict[str, float]]]:
        """The figures of every arm by seed, as claims read them."""
        found: dict[int, dict[str, dict[str, float]]] = {}
        for name, arm in self.arms.items():
            for place, seed in enumerate(arm.seeds):
                figures = {figure: values[place] for figure, values in arm.figures.items()}
                found.setdefault(seed, {})[name] = figures
        return found

    def tested(self, experiment: Experiment) -> list[Tested]:
        """The claims put to it."""
        seeds = self.by_seed()
        return [tested(claim, seeds) for claim in experiment.claims]

    @property
    def minutes(self) -> float:
        """Process minutes of all runs together."""
        return sum(second for arm in self.arms.values() for second in arm.seconds) / 60


def gathered(recipe: str, experiment: Experiment, found: Mapping[Trial, Found], command: str) -> Evidence:
    """The evidence of what was run."""
    arms = {}
    for name, arm in experiment.arms.items():
        runs = {trial.seed: one for trial, one in found.items() if trial.arm == name}
        if not runs:
            continue
        seeds = tuple(sorted(runs))
        figures = {
            figure: tuple(runs[seed].figures[figure] for seed in seeds)
            for figure in runs[seeds[0]].figures
            if all(figure in runs[seed].figures for seed in seeds)
        }
        arms[name] = ArmEvidence(
            about=arm.about,
            changes=arm.changes,
            seeds=seeds,
            seconds=tuple(runs[seed].seconds for seed in seeds),
            figures=figures,
            curves={
                curve: _mean_curve([runs[seed].curves.get(curve, ()) for seed in seeds])
                for curve in runs[seeds[0]].curves
            },
        )
    return Evidence(
        recipe=recipe, command=command, commit=_commit(), machine=_machine(), versions=_versions(), arms=arms
    )


def path_of(root: Path, recipe: str) -> Path:
    """Where the evidence of `family/name` lies below a folder."""
    return root / f"{recipe}.json"


def write(path: Path, evidence: Evidence) -> None:
    """Raises StorageError."""
    plain = TypeAdapter(Evidence).dump_python(evidence, mode="json")
    write_atomic(path, json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def read(path: Path) -> Evidence | None:
    """The evidence in a file; None where there is no file. Raises DataError where it is something else."""
    try:
        return TypeAdapter(Evidence).validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise DataError(
            f"{path}: not evidence of a recipe ({where}: {problem['msg']}); run the lab again"
        ) from None


def _mean_curve(
    curves: Sequence[Sequence[tuple[float, float]]],
) -> tuple[tuple[float, float], ...]:
    """The mean over the seeds at each update that all have, thinned to `POINTS`."""
    by_update: dict[float, list[float]] = {}
    for curve in curves:
        for update, value in curve:
            by_update.setdefault(update, []).append(value)
    means = [
        (update, sum(values) / len(values))
        for update, values in sorted(by_update.items())
        if len(values) == len(curves)
    ]
    step = max(1, -(-len(means) // POINTS))
    groups = [means[start : start + step] for start in range(0, len(means), step)]
    return tuple((group[-1][0], float(f"{sum(y for _, y in group) / len(group):.5g}")) for group in groups)


def _commit() -> str:
    try:
        made = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],  # noqa: S607
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
        return made.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _machine() -> str:
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{name}, {os.cpu_count()} cores"


def _versions() -> dict[str, str]:
    found: dict[str, Any] = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
