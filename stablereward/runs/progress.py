"""What a run says while it goes on: to stderr, so that stdout stays for results."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

console = Console(stderr=True)
SECONDS_A_LINE = 60.0
"""Between two lines of a stage where there is no terminal to draw a bar on."""


def say(line: str) -> None:
    """One line of news."""
    console.out(line, highlight=False)


@contextmanager
def bar(title: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """A progress bar with time left; the callback takes what is done and a short state in words.

    Where nobody watches, in a pipe or a file, it is a line every `SECONDS_A_LINE` seconds.
    """
    if not console.is_terminal:
        with _lines(title, total) as told:
            yield told
        return
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[state]}"),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=total, state="")
        yield lambda done, state: progress.update(task, completed=done, state=state)


@contextmanager
def _lines(title: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """A thread tells the time, since one step may take longer than the time between two lines."""
    latest, over = [(0, "")], threading.Event()

    def tell() -> None:
        while not over.wait(SECONDS_A_LINE):
            done, state = latest[0]
            say(f"  {title}: {done} of {total}{f', {state}' if state else ''}")

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield lambda done, state: latest.__setitem__(0, (done, state))
    finally:
        over.set()
        thread.join()
