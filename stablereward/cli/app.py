"""The command `stablereward`. A verb imports what it needs when it runs, so that `--help` is quick."""

import errno
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer

import stablereward
from stablereward.cli.bench import bench
from stablereward.cli.compare import compare
from stablereward.cli.demo import demo
from stablereward.cli.doctor import doctor
from stablereward.cli.judge import judge
from stablereward.cli.lab import lab
from stablereward.cli.printing import printable
from stablereward.cli.recipes import recipes
from stablereward.cli.report import report
from stablereward.cli.score import score
from stablereward.cli.train import train
from stablereward.errors import ConfigError, ModelError, StableRewardError

ClickException: Any = typer.BadParameter.__mro__[2]
"""Of the click that this typer uses, which may be a copy of its own."""
MAX_SHOWN = 80
"""Letters of a name that no file can have."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for verb in (demo, judge, train, bench, compare, score, recipes, report, doctor):
    app.command()(verb)
app.add_typer(lab, name="lab")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command and exits. What a user can cause is one line on stderr and its own exit code."""
    _quieten_libraries()
    try:
        sys.exit(app(arguments, prog_name="stablereward", standalone_mode=False) or 0)
    except ClickException as error:
        _usage(error)
    except typer.Abort:
        sys.exit(1)
    except StableRewardError as error:
        _fail(error)
    except (MemoryError, RuntimeError) as error:
        if not (cause := _memory_is_full(error)):
            raise
        _fail(ModelError(f"{cause}; `stablereward doctor` shows what fits on this machine"))
    except OSError as error:
        # Any path of any verb may be one; the system refuses such a name wherever it is first looked at.
        if error.errno != errno.ENAMETOOLONG:
            raise
        name = str(error.filename)[:MAX_SHOWN]
        _fail(ConfigError(f"a path is too long for this machine ({name}…); give a shorter one"))


def _usage(error: Any) -> NoReturn:
    """One plain line; without any arguments, the help that click gives as its message."""
    if type(error).__name__ == "NoArgsIsHelpError":  # which has shown it already
        sys.exit(error.exit_code)
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "stablereward"
    said = " ".join(printable(error.format_message()).split()).rstrip(".")
    print(f"error: {said}; `{command} --help` shows what there is", file=sys.stderr)
    sys.exit(error.exit_code)


def _memory_is_full(error: Exception) -> str:
    """What a GPU, torch on a CPU or Python says of it; empty where the error is another."""
    text = str(error)
    if isinstance(error, MemoryError):
        return "out of memory"
    # By name: importing torch to name its class would cost every command a second.
    if type(error).__name__ == "OutOfMemoryError":
        return text.partition(". ")[0]
    wanted = text.partition("DefaultCPUAllocator: ")[2].partition(". ")[0]
    return f"out of memory: {wanted}" if wanted else ""


def _fail(error: StableRewardError) -> NoReturn:
    print(f"error: {' '.join(printable(str(error)).split())}", file=sys.stderr)
    sys.exit(error.exit_code)


def _quieten_libraries() -> None:
    """Libraries neither report usage nor talk between the lines of a result; a user's own settings win."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"stablereward {stablereward.__version__}")
        raise typer.Exit


@app.callback()
def stablereward_command(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Train and measure reward models that reason about what they see."""
