"""Many runs, each a process with one thread: skipped where done, begun anew where interrupted."""

import os
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from stablereward.config import dump
from stablereward.lab import outcome
from stablereward.lab.jobs import Job, is_current
from stablereward.lab.outcome import Outcome
from stablereward.lock import held
from stablereward.runs.files import write_atomic, writing
from stablereward.runs.progress import say

LOG = "log.txt"
_POLL = 0.1


def run_all(lab: Path, jobs: Sequence[Job], processes: int) -> dict[Job, Outcome]:
    """The outcome of every job, except of those whose process crashed; their folders hold `log.txt`.

    Raises StorageError where a run's folder cannot be written.
    """
    jobs = list(dict.fromkeys(jobs))
    found = {job: known for job in jobs if (known := _known(lab, job)) is not None}
    waiting = deque(job for job in jobs if job not in found)
    if found:
        say(f"  {len(found)} of {len(jobs)} runs are done already")
    running: dict[Job, subprocess.Popen[bytes]] = {}
    clock, ended = time.perf_counter(), 0
    total = len(waiting)
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                job = waiting.popleft()
                running[job] = _begin(lab, job)
            time.sleep(_POLL)
            for job in [job for job, process in running.items() if process.poll() is not None]:
                code = running.pop(job).returncode
                ended += 1
                made = outcome.read(lab / job.name) if code == 0 else None
                if made is not None:
                    found[job] = made
                left = (time.perf_counter() - clock) / ended * (total - ended)
                say(f"  {ended} of {total}, {_left(left)}: {job.name}: {_words(lab / job.name, made, code)}")
    finally:
        for process in running.values():
            process.terminate()
            process.wait()
    return {job: found[job] for job in jobs if job in found}


def _known(lab: Path, job: Job) -> Outcome | None:
    folder = lab / job.name
    return outcome.read(folder) if is_current(folder, job) else None


def _begin(lab: Path, job: Job) -> subprocess.Popen[bytes]:
    """Starts a run in a cleared folder. Raises ConfigError where an earlier lab's run is not over yet."""
    folder = lab / job.name
    with held(folder):
        shutil.rmtree(folder, ignore_errors=True)
    with writing(folder):
        write_atomic(folder / "config.yaml", dump(job))
        with (folder / LOG).open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - this very Python with two paths
                [sys.executable, "-m", "stablereward.lab.run", str(lab), str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )


def _words(folder: Path, made: Outcome | None, code: int) -> str:
    if made is None:
        return f"crashed with exit code {code}; see {folder / LOG}"
    collapsed = ", collapsed" if made.collapsed else ""
    stopped = f" ({made.stopped})" if made.stopped else ""
    return f"{made.held_out.accuracy:.1%}{collapsed}{stopped}, {made.seconds:.0f} s"


def _left(seconds: float) -> str:
    return f"{seconds / 60:.0f} min left" if seconds >= 60 else f"{seconds:.0f} s left"
