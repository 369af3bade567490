"""A run, or several side by side, as one self-contained HTML file."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from stablereward.errors import StorageError
from stablereward.report.alerts import left_out, no_signal
from stablereward.report.compare import comparison_page
from stablereward.report.page import run_page
from stablereward.report.run import read_run


def write_report(
    run: Path | Sequence[Path], out: Path | None = None, *, tell: Callable[[str], None] | None = None
) -> Path:
    """Write the page of a run folder, or one that compares several, and return its path.

    One run goes to `report.html` inside its folder, several to `comparison.html` beside the first,
    unless `out` names another file. The file appears whole or not at all. `tell` hears the page's warnings,
    each one line that begins with its folder: what could not be read, and rewards that never varied.

    Raises DataError where a folder holds no run that can be read, StorageError where the page cannot
    be written.
    """
    if isinstance(run, Path):
        read = [read_run(run)]
        target, page = out or run / "report.html", run_page(read[0])
    else:
        read = [read_run(one) for one in run]
        target, page = out or run[0].parent / "comparison.html", comparison_page(read)
    _write(target, page.encode())
    if tell is not None:
        for one in read:
            for line in filter(None, (no_signal(one), left_out(one))):
                tell(f"{one.folder}: {line}")
    return target


def _write(target: Path, content: bytes) -> None:
    try:
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                os.fchmod(file.fileno(), 0o644)
            os.replace(name, target)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        raise StorageError(f"{target}: the report cannot be written ({error.strerror})") from error
