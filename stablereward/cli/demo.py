"""`stablereward demo`: the whole method on the toy world."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from stablereward.cli.outcome import show_outcome


def demo(
    output: Annotated[Path, typer.Option(help="The run folder.")] = Path("runs/demo"),
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another world and another run.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")] = False,
) -> None:
    """Train and measure a judge on the toy world: no GPU, no network, some minutes."""
    from stablereward.recipes.judges import r1_reward

    show_outcome(r1_reward.run(replace(r1_reward.tiny(), output=output, seed=seed), resume=resume))
