"""`stablereward lab`: experiments on the method itself, on the toy world."""

from pathlib import Path
from typing import Annotated

import typer

from stablereward.errors import ConfigError, TrainingError

lab = typer.Typer(no_args_is_help=True, help="Experiments on the method itself: minutes on CPU cores.")


@lab.command()
def stability(
    output: Annotated[Path, typer.Option(help="The lab's folder; runs in it are not made again.")] = Path(
        "runs/lab"
    ),
    fast: Annotated[
        bool, typer.Option("--fast", help="Two arms, one seed, a few updates: whether it works.")
    ] = False,
    arms: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="Some of the arms, winsorise and dual_clip among them; default: the seven of the ablation.",
        ),
    ] = "",
    regimes: Annotated[str, typer.Option(metavar="A,B", help="calm, stress or easy.")] = "",
    seeds: Annotated[int | None, typer.Option(help="How many seeds. Default: 5.")] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs at once, each on one core. Default: the cores.")
    ] = None,
    noise: Annotated[bool, typer.Option(help="Also the sweep of referee noise.")] = True,
    docs: Annotated[Path | None, typer.Option(help="Write tables and figures to this folder too.")] = None,
) -> None:
    """Ablate StableReinforce on the toy judge: arms, regimes and seeds from one cold start."""
    from stablereward.lab.stability import plan, run

    chosen = plan(quick=fast, arms=_names(arms), regimes=_names(regimes), seeds=seeds, noise=noise)
    written = run(output, chosen, processes=jobs, docs=docs)
    print(written.markdown)
    print(f"page: {written.page}")
    if written.crashed:
        raise TrainingError(
            f"{len(written.crashed)} of {len(chosen.jobs)} runs crashed, the first in {written.crashed[0]}; "
            "read its log.txt and give the same command again"
        )


@lab.command("filter")
def filter_(
    output: Annotated[Path, typer.Option(help="A .svg or .html file.")] = Path("filter.html"),
) -> None:
    """Draw which share of the advantages the sigma filter zeroes, in theory and in the code."""
    from stablereward.lab.filter_share import RULES, crossing
    from stablereward.lab.page import filter_page
    from stablereward.lab.pictures import filter_chart, standalone
    from stablereward.training.run_folder import write_atomic

    if output.suffix.lower() not in (".svg", ".html"):
        raise ConfigError(f"{output}: give a file that ends in .svg or .html")
    svg = output.suffix.lower() == ".svg"
    write_atomic(output, standalone(filter_chart()) if svg else filter_page())
    for rule in RULES:
        print(f"{rule.name}: every wrong answer is zeroed above {crossing(rule.theory):.1%} accuracy")
    print(f"picture: {output}")


@lab.command()
def coverage(
    repetitions: Annotated[int, typer.Option(min=100, help="Simulated measurements of each case.")] = 10_000,
) -> None:
    """Simulate how often each kind of 95 % interval holds the truth; the table stands in docs/metrics.md."""
    from stablereward.lab.coverage import all_measured, to_markdown

    print(to_markdown(all_measured(repetitions=repetitions)))


def _names(text: str) -> list[str]:
    return [name for name in text.replace(" ", "").split(",") if name]
