"""`stablereward doctor`: what this machine can run."""

import os
import platform
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from packaging.requirements import Requirement
from rich.console import Console
from rich.table import Table

import stablereward
from stablereward.cli.devices import GIB, Device, devices
from stablereward.errors import ConfigError, ModelError, StableRewardError


class Library(NamedTuple):
    """A library this package asks for, in the core (extra "") or in an extra; `found` "" where missing."""

    name: str
    extra: str
    wanted: str
    found: str
    fits: bool


def doctor(
    plan: Annotated[
        str | None, typer.Option(metavar="RECIPE", help="Say whether a run of this recipe would fit.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="A YAML file of settings, for --plan.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=C", help="One setting, for --plan; may be repeated."),
    ] = None,
    gpu: Annotated[
        float | None,
        typer.Option(min=1, metavar="GIB", help="Plan for a GPU of so much memory that is not here."),
    ] = None,
) -> None:
    """Say what this machine has, and which models fit; with --plan, what one run needs.

    Exits 0 where the core works, or where the planned run fits.
    """
    if plan is not None:
        from stablereward.cli.plan import show_plan

        show_plan(plan, config, settings or (), gpu)
        return
    if config or settings or gpu:
        raise ConfigError("--config, --set and --gpu belong to --plan; name a recipe with --plan RECIPE")
    console = Console(highlight=False, markup=False)
    console.print(f"stablereward {stablereward.__version__}, Python {platform.python_version()}")
    console.print(f"{platform.platform()}, {_num_cores()} cores")
    found = libraries()
    console.print(_libraries_table(found) if found else "run from a checkout that is not installed", "")
    broken = [library for library in found if not library.extra and not library.fits]
    if broken:
        needs = ", ".join(f"{library.name} {library.wanted}" for library in broken)
        raise StableRewardError(
            f"missing or of the wrong version: {needs}; pip install --upgrade stablereward"
        )
    available = devices()
    console.print(_devices_table(available), "")
    console.print(_memory_table(available[0]), "")
    console.print(_first_judgement())


def libraries() -> list[Library]:
    """Every library of the installed package's requirements, without the developers' tools."""
    try:
        wanted = [Requirement(line) for line in requires("stablereward") or ()]
    except PackageNotFoundError:  # run from a checkout
        return []
    found = [_library(requirement) for requirement in wanted]
    return [library for library in found if library.extra != "dev"]


def _library(requirement: Requirement) -> Library:
    # A requirement of an extra reads `name>=1; extra == "data"`.
    extra = str(requirement.marker).partition('extra == "')[2].rstrip('"') if requirement.marker else ""
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        installed = ""
    fits = bool(installed) and requirement.specifier.contains(installed, prereleases=True)
    wanted = ", ".join(sorted((str(one) for one in requirement.specifier), reverse=True))
    return Library(requirement.name, extra, wanted, installed, fits)


def _num_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _libraries_table(found: Iterable[Library]) -> Table:
    table = Table("library", "version", "wanted", "", box=None, pad_edge=False)
    for library in found:
        remedy = f"pip install 'stablereward[{library.extra}]'" if library.extra else "needed"
        state = "ok" if library.fits else remedy
        table.add_row(library.name, library.found or "–", library.wanted, state)
    return table


def _devices_table(available: Iterable[Device]) -> Table:
    table = Table("device", box=None, pad_edge=False)
    table.add_column("memory", justify="right")
    for device in available:
        table.add_row(device.name, f"{device.memory / GIB:.1f} GiB")
    return table


def _memory_table(device: Device) -> Table:
    from stablereward.cli.memory import PUBLISHED, judging, training

    table = Table("model", title=f"What fits on {device.name} (estimates)", box=None, pad_edge=False)
    table.title_justify = "left"
    for column in ("judge", "train with LoRA", "train in full"):
        table.add_column(column, justify="right")
    for name, shapes in PUBLISHED.items():
        ways = (
            judging(shapes(), gpu=device.gpu),
            training(shapes(), gpu=device.gpu, lora=True),
            training(shapes(), gpu=device.gpu, lora=False),
        )
        table.add_row(
            name, *(f"{need / GIB:.0f} GiB {'yes' if device.fits(need) else 'no '}" for need in ways)
        )
    return table


def _first_judgement() -> str:
    """Loads the judge in the box and asks it something. Raises ModelError where it cannot be loaded."""
    from stablereward.data.toy.pairs import pairs
    from stablereward.judges.judge import Judge
    from stablereward.policies.shipped import model_folder

    try:
        folder = model_folder("toy")
    except ModelError:
        return "models: the judge in the box, toy, is not in this installation"
    clock = time.perf_counter()
    judge = Judge.load(folder)
    loaded = time.perf_counter()
    judge.judge(pairs(1, seed=0)[0].preference())
    return f"models: toy loads in {loaded - clock:.1f} s and judges in {time.perf_counter() - loaded:.1f} s"
