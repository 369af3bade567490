"""What a run says while it goes on: to stderr, so that stdout stays for results."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

console = Console(stderr=True)


def say(line: str) -> None:
    """One line of news."""
    console.out(line, highlight=False)


@contextmanager
def bar(title: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """A progress bar with time left; the callback takes what is done and a short state in words."""
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[state]}"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=total, state="")
        yield lambda done, state: progress.update(task, completed=done, state=state)
