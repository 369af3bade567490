"""`stablereward lab NAME`: a recipe's experiment run, its evidence and pages written."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from stablereward.errors import ConfigError
from stablereward.lab import evidence as files
from stablereward.lab.catalogue import entries
from stablereward.lab.evidence import Evidence, gathered, path_of
from stablereward.lab.experiment import Experiment, Tested
from stablereward.lab.recipe_page import Subject, catalogue, curves, interval, page, picture, picture_name
from stablereward.lab.trials import run_all, trials
from stablereward.recipes.found import described
from stablereward.runs.files import write_atomic
from stablereward.runs.progress import say

RECIPES = "stablereward.recipes."


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The files of an experiment, what came of each claim in words, and the folders of runs that failed."""

    evidence: Path
    page: Path
    summary: str
    failed: tuple[Path, ...]


def put_to_the_test(
    module: str,
    *,
    seeds: int,
    arms: Sequence[str] = (),
    output: Path,
    evidence: Path,
    docs: Path,
    processes: int | None = None,
) -> Written:
    """Makes what is missing of the runs in `output`, then writes evidence, page, curves and the table.

    `module` is the recipe's. Raises ConfigError for a recipe without an experiment and for an arm that it
    has not; any StableRewardError of the runs. What was made stays, and the same call goes on from there.
    """
    recipe: Any = import_module(module)
    name = name_of(module)
    experiment: Experiment | None = getattr(recipe, "EXPERIMENT", None)
    if experiment is None:
        raise ConfigError(f"{name} has no experiment; `stablereward recipes` lists what there is")
    for arm in arms:
        if arm not in experiment.arms:
            raise ConfigError(f"{name} has no arm {arm[:80]!r}; there are {', '.join(experiment.arms)}")
    chosen = {arm: about for arm, about in experiment.arms.items() if not arms or arm in arms}
    asked = trials(module, chosen, seeds)
    lab = output / name
    say(f"{name}: {len(asked)} runs …")
    found = run_all(lab, experiment, asked, processes or os.cpu_count() or 1)
    short = name.rpartition("/")[2]
    command = f"stablereward lab {short} --seeds {seeds}" + (f" --arms {','.join(arms)}" if arms else "")
    made = gathered(name, experiment, found, command)
    target = path_of(evidence, name)
    files.write(target, made)
    write_pages(docs, evidence)
    tested = made.tested(experiment)
    return Written(
        evidence=target,
        page=docs / f"{short}.md",
        summary="\n".join(map(_words, tested)),
        failed=tuple(trial.folder(lab) for trial in asked if trial not in found),
    )


def write_pages(docs: Path, evidence: Path) -> None:
    """The page of every recipe that has an experiment, its curves, and the table of all."""
    for path, content in pages(evidence).items():
        write_atomic(docs / path, content)


def pages(evidence: Path) -> dict[str, str]:
    """What `docs/recipes` holds: a function of the code and the evidence."""
    found = {}
    for name, recipe in with_experiments():
        subject = Subject.of(name, recipe)
        made = files.read(path_of(evidence, name))
        found[f"{subject.short}.md"] = page(subject, made)
        if made is not None:
            for number, curve in enumerate(curves(made)):
                found[picture_name(subject.short, number)] = picture(made, curve)
    recipes = with_experiments()
    found["README.md"] = catalogue(entries(recipes, {n: _tested(evidence, n, r) for n, r in recipes}))
    return found


def with_experiments() -> list[tuple[str, Any]]:
    """The recipes that have an experiment, by "family/name"."""
    modules = ((name, module_of(name)) for name in described())
    return [(name, module) for name, module in modules if hasattr(module, "EXPERIMENT")]


def name_of(module: str) -> str:
    """ "family/name" of a recipe's module."""
    return module.removeprefix(RECIPES).replace(".", "/")


def module_of(name: str) -> Any:
    """The module of a recipe's "family/name"."""
    return import_module(RECIPES + name.replace("/", "."))


def _tested(evidence: Path, name: str, recipe: Any) -> list[Tested]:
    made: Evidence | None = files.read(path_of(evidence, name))
    return made.tested(recipe.EXPERIMENT) if made else []


def _words(tested: Tested) -> str:
    measured = "no value" if tested.mean is None else interval(tested.mean)
    claim = tested.claim
    unit = f" {claim.unit}" if claim.unit else ""
    return f"{tested.verdict}: {claim.says} ({measured}{unit}, wanted {claim.threshold})"
