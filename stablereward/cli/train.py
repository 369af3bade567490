"""`stablereward train`: a recipe with its settings."""

from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import typer

from stablereward.cli.outcome import show_outcome
from stablereward.config import dump_with_ranges, resolve
from stablereward.errors import ConfigError
from stablereward.recipes.found import load
from stablereward.runs.progress import say


def train(
    recipe: Annotated[str, typer.Argument(help="A name that `stablereward recipes` lists.")],
    config: Annotated[Path | None, typer.Option(help="A YAML file of settings.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=C", help="One setting; may be repeated.")
    ] = None,
    tiny: Annotated[
        bool, typer.Option("--tiny", help="Start from the small form: minutes on a CPU.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the settings, with the range of every number, and stop.")
    ] = False,
) -> None:
    """Train by a recipe. Without settings, they are the paper's."""
    module = load(recipe)
    if tiny and not hasattr(module, "tiny"):
        raise ConfigError(f"{recipe} has no tiny form; leave out --tiny")
    base = module.tiny() if tiny else None
    resolved: Any = resolve(module.Config, config, settings or (), base=base)
    if dry_run:
        print(dump_with_ranges(resolved), end="")
        return
    from stablereward.cli.plan import warning

    too_large = warning(recipe, resolved)
    if too_large is not None:
        say(too_large)
    if not resume:
        folder = module.run(resolved)
    elif "resume" in signature(module.run).parameters:
        folder = module.run(resolved, resume=True)
    else:
        raise ConfigError(f"{recipe} cannot be resumed; leave out --resume")
    show_outcome(folder)
