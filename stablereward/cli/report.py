"""`stablereward report`: a run, or several side by side, as a page."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from stablereward.cli.printing import printable


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    out: Annotated[Path | None, typer.Option(help="The file to write.")] = None,
) -> None:
    """Write the self-contained HTML page of a run, or one that compares several."""
    from stablereward.report.report import write_report

    def tell(line: str) -> None:
        print(f"warning: {printable(line)}", file=sys.stderr)

    print(write_report(runs[0] if len(runs) == 1 else runs, out, tell=tell))
