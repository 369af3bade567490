"""Several sides in processes of their own, stepping in turn: A B C A B C. Who is not on turn sleeps."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from safetensors.torch import load_file

from performance.environment import ROOT, trl_python
from performance.work import Job

Steps = dict[str, list[dict[str, float]]]
"""By side, what each step answered."""
MEMORY_STEPS = 2


class SideEnded(RuntimeError):
    """A worker died; its last words are the message."""


class Side:
    """A worker process and its end of the line."""

    def __init__(self, job: Job) -> None:
        python = trl_python() if job.side == "trl" else Path(sys.executable)
        quiet = {"TRL_EXPERIMENTAL_SILENCE": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self.job = job
        self._stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [str(python), "-m", "performance.worker", json.dumps(job.to_dict())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            env={**os.environ, **quiet, "PYTHONPATH": paths},
            cwd=tempfile.gettempdir(),
        )
        self.ready = self._read()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Sends a request and waits. Raises SideEnded where the worker died."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._stderr.seek(0)
            words = self._stderr.read()[-3000:]
            self.close()
            raise SideEnded(f"the side {self.job.side!r} ended:\n{words}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._stderr.close()


@contextmanager
def sides(jobs: Sequence[Job]) -> Iterator[dict[str, Side]]:
    """The workers of these jobs, ready; ended afterwards."""
    started: dict[str, Side] = {}
    try:
        for job in jobs:
            started[job.side] = Side(job)
        yield started
    finally:
        for side in started.values():
            side.close()


def available(names: Sequence[str]) -> list[str]:
    """The sides that can run here; says so where TRL's environment is missing."""
    if "trl" in names and trl_python() is None:
        print("TRL's environment is missing (python -m performance.environment); going on without TRL")
        return [name for name in names if name != "trl"]
    return list(names)


def race(running: Mapping[str, Side], steps: int, warmup: int, **request: Any) -> Steps:
    """`steps` answers of every side after `warmup` that are thrown away, in turn."""
    answers: Steps = {name: [] for name in running}
    for number in range(warmup + steps):
        for name, side in running.items():
            answer = side.ask(**request)
            print(f"{request['do']} {number + 1} {name}: {answer}", file=sys.stderr, flush=True)
            if number >= warmup:
                answers[name].append(answer)
    return answers


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values)}


def phases(steps: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Median, least and most of everything the steps answered."""
    return {name: spread([step[name] for step in steps]) for name in steps[0]}


def ratios(peer: Sequence[Mapping[str, float]], ours: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """How many times faster we are: each step against the peer's next to it."""
    shared = [name for name in ours[0] if name in peer[0] and name != "tokens"]
    return {name: spread([p[name] / o[name] for p, o in zip(peer, ours, strict=True)]) for name in shared}


def gradient_gaps(jobs: Sequence[Job]) -> dict[str, float]:
    """|their gradient - ours| / |ours| on a few fixed rollouts at equal weights, by side."""
    found: dict[str, dict[str, Any]] = {}
    few = [replace(job, shape=replace(job.shape, prompts=2, group=2), micro_batch=2, fresh=1) for job in jobs]
    with tempfile.TemporaryDirectory() as folder, sides(few) as running:
        for name, side in running.items():
            file = Path(folder) / name
            side.ask(do="gradient", file=str(file))
            found[name] = load_file(file)
    ours = found.pop("ours")
    norm = sum(float(g.square().sum()) for g in ours.values()) ** 0.5
    gaps = {}
    for name, theirs in found.items():
        difference = sum(float((theirs[key] - g).square().sum()) for key, g in ours.items())
        gaps[name] = difference**0.5 / norm if theirs.keys() == ours.keys() else float("nan")
    return gaps


def race_all(
    jobs: Sequence[Job], orders: Sequence[tuple[int, int, dict[str, Any]]], *, alone: bool
) -> list[Steps]:
    """`race` for each (steps, warmup, request) in turn; with `alone` one side after the other, where
    they do not fit into memory together. TRL's side has no supervised step and is left out of one."""
    made: list[Steps] = [{} for _ in orders]
    for together in [[job] for job in jobs] if alone else [list(jobs)]:
        with sides(together) as running:
            for answers, (steps, warmup, request) in zip(made, orders, strict=True):
                able = {n: s for n, s in running.items() if n != "trl" or request["do"] != "sft"}
                answers.update(race(able, steps, warmup, **request))
    return made


def fastest_micro_batch(job: Job, candidates: Sequence[int]) -> dict[str, float]:
    """Seconds of a step by micro-batch size: one step of each after one to warm up.

    A size that does not fit into memory is left out. Raises SideEnded where none fits.
    """
    seconds = {}
    for size in sorted({min(size, job.shape.samples) for size in candidates}):
        if job.shape.samples % size == 0:
            try:
                with sides([replace(job, micro_batch=size, fresh=3)]) as running:
                    [[step]] = race(running, 1, 1, do="step").values()
            except SideEnded as error:
                if "out of memory" not in str(error).lower():
                    raise
                continue
            seconds[str(size)] = step["step"]
    if not seconds:
        raise SideEnded(f"no micro-batch of {list(candidates)} fits into memory on the side {job.side!r}")
    return seconds
