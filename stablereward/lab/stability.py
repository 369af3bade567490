"""The stability study: one start, many runs, and what they say of the paper's claims."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stablereward.errors import ConfigError, TrainingError
from stablereward.lab import start
from stablereward.lab.arms import ARMS
from stablereward.lab.jobs import Job, ablation, noise_sweep
from stablereward.lab.page import lab_page
from stablereward.lab.regimes import (
    DEFAULT,
    DEFAULT_ARMS,
    FAST_ARMS,
    FAST_REGIMES,
    REGIMES,
    SEEDS,
    Regime,
    fast,
)
from stablereward.lab.runs import run_all
from stablereward.lab.start import Setup, Start
from stablereward.lab.study import CALM, Study
from stablereward.lab.tables import to_json, to_markdown
from stablereward.lock import held
from stablereward.runs.files import write_atomic
from stablereward.runs.progress import say

RESULTS = "stability-results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is run: a setup, regimes with their numbers, and all jobs."""

    setup: Setup
    regimes: tuple[Regime, ...]
    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The files of a study, its tables as Markdown, and the runs whose process crashed."""

    page: Path
    markdown: str
    crashed: tuple[Path, ...]


def plan(
    *,
    quick: bool = False,
    arms: Sequence[str] = (),
    regimes: Sequence[str] = (),
    seeds: int | None = None,
    noise: bool = True,
) -> Plan:
    """The runs that are asked for; without names, the default arms and regimes from five seeds.

    `quick` is two arms and one seed at a size of seconds, without the noise sweep. Raises ConfigError for
    a name that is not known and for seeds out of range.
    """
    _known("arm", arms, list(ARMS))
    _known("regime", regimes, list(REGIMES))
    count = seeds if seeds is not None else 1 if quick else SEEDS
    if count < 1:
        raise ConfigError(f"--seeds is {count}; it must be 1 or more")
    chosen = [REGIMES[name] for name in dict.fromkeys(regimes or (FAST_REGIMES if quick else DEFAULT))]
    if quick:
        chosen = [fast(regime) for regime in chosen]
    names = dict.fromkeys(arms or (FAST_ARMS if quick else DEFAULT_ARMS))
    jobs = ablation(names, chosen, count)
    calm = next((regime for regime in chosen if regime.name == CALM), None)
    if noise and not quick and calm is not None:
        jobs += noise_sweep(calm)
    return Plan(
        setup=start.fast() if quick else start.full(),
        regimes=tuple(chosen),
        jobs=tuple(dict.fromkeys(jobs)),
    )


def run(output: Path, chosen: Plan, *, processes: int | None = None, docs: Path | None = None) -> Written:
    """Makes what is missing of a plan in `output`/stability and writes tables, JSON and page there.

    With `docs` Markdown and JSON are written to that folder too. Raises any StableRewardError; what was
    made stays, and the same call goes on from there.
    """
    with held(output / "stability"):
        return _run(output / "stability", chosen, processes, docs)


def _run(lab: Path, chosen: Plan, processes: int | None, docs: Path | None) -> Written:
    Start(lab).prepare(chosen.setup, list(chosen.regimes))
    say(f"{len(chosen.jobs)} runs …")
    found = run_all(lab, chosen.jobs, processes or os.cpu_count() or 1)
    crashed = tuple(lab / job.name for job in chosen.jobs if job not in found)
    if not found:
        raise TrainingError(f"every run crashed; see {crashed[0] / 'log.txt'}")
    study = Study(found.values())
    markdown = to_markdown(study, chosen.regimes)
    figures = to_json(study, found, chosen.regimes)
    for folder in filter(None, (lab, docs)):
        write_atomic(folder / f"{RESULTS}.md", markdown)
        write_atomic(folder / f"{RESULTS}.json", figures)
    page = lab / f"{RESULTS}.html"
    write_atomic(page, lab_page(study, lab, found, chosen.regimes))
    return Written(page=page, markdown=markdown, crashed=crashed)


def _known(kind: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(f"there is no {kind} {name[:80]!r}; there are {', '.join(known)}")
