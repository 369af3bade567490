"""`stablereward lab`: the evidence of recipes, and experiments on the method itself."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from stablereward.errors import ConfigError, TrainingError
from stablereward.recipes.found import load


class _Lab(TyperGroup):
    """Any recipe's name is a command: its experiment."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        found = super().get_command(ctx, cmd_name)
        if found is not None or cmd_name.startswith("-"):
            return found
        one = typer.Typer(add_completion=False)
        one.command()(_experiment(load(cmd_name).__name__))
        return typer.main.get_command(one)

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx)]


lab = typer.Typer(
    cls=_Lab,
    no_args_is_help=True,
    help="Put a recipe's claims to the test (`stablereward lab NAME`), or experiment on the method itself.",
)


def _experiment(module: str) -> Any:
    def experiment(
        seeds: Annotated[int, typer.Option(min=1, max=31, help="How many seeds.")] = 5,
        arms: Annotated[str, typer.Option(metavar="A,B", help="Some of the arms; default: all.")] = "",
        output: Annotated[Path, typer.Option(help="Runs that are there are not made again.")] = Path(
            "runs/lab"
        ),
        evidence: Annotated[Path, typer.Option(help="Where the evidence is written.")] = Path("evidence"),
        docs: Annotated[Path, typer.Option(help="Where the recipe's page is written.")] = Path(
            "docs/recipes"
        ),
        jobs: Annotated[
            int | None, typer.Option(min=1, help="Runs at once, each on one core. Default: the cores.")
        ] = None,
    ) -> None:
        """Run every arm of a recipe from every seed, test its claims and write evidence and page."""
        from stablereward.lab.recipe import put_to_the_test

        written = put_to_the_test(
            module,
            seeds=seeds,
            arms=_names(arms),
            output=output,
            evidence=evidence,
            docs=docs,
            processes=jobs,
        )
        print(written.summary)
        print(f"evidence: {written.evidence}\npage: {written.page}")
        if written.failed:
            raise TrainingError(
                f"{len(written.failed)} runs failed, the first in {written.failed[0]}; read its log.txt and "
                "give the same command again"
            )

    return experiment


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
    from stablereward.runs.files import write_atomic

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


@lab.command()
def pages(
    evidence: Annotated[Path, typer.Option(help="Where the evidence is.")] = Path("evidence"),
    docs: Annotated[Path, typer.Option(help="Where the pages are written.")] = Path("docs/recipes"),
) -> None:
    """Write every recipe's page and the table of all from the evidence there is; nothing is run."""
    from stablereward.lab.recipe import write_pages

    write_pages(docs, evidence)
    print(f"pages: {docs}")


def _names(text: str) -> list[str]:
    return [name for name in text.replace(" ", "").split(",") if name]
