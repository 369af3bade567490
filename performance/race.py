"""Several sides in processes of their own, stepping in turn: A B C A B C. Who is not on turn sleeps."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

from safetensors.torch import load_file

from performance.environment import ROOT, trl_python
from performance.work import Job

Answers = list[dict[str, float]]
"""What each step of a side answered."""
Steps = dict[str, Answers]
"""By side."""
Key = TypeVar("Key")


class SideEnded(RuntimeError):
    """A worker died; its last words are the message."""


class Side:
    """A worker process and its end of the line. A context ends it."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._line, theirs = Pipe()
        self._output = tempfile.TemporaryFile("w+")  # noqa: SIM115
        python = trl_python() if job.side.endswith("trl") else Path(sys.executable)
        quiet = {"TRL_EXPERIMENTAL_SILENCE": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [str(python), "-m", "performance.worker", str(theirs.fileno())],
            stdout=self._output,
            stderr=self._output,
            env={**os.environ, **quiet, "PYTHONPATH": paths},
            cwd=tempfile.gettempdir(),
            pass_fds=[theirs.fileno()],
        )
        theirs.close()

    def __enter__(self) -> "Side":
        self._line.send(self.job)
        self._receive()
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()
        self._process.wait()
        self._output.close()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Sends a request and waits. Raises SideEnded where the worker died."""
        self._line.send(request)
        answer = self._receive()
        print(self.job.side, request, answer, file=sys.stderr, flush=True)
        return answer

    def _receive(self) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self._line.recv()
        except (EOFError, ConnectionError):
            self._output.seek(0)
            words = self._output.read()[-3000:]
            self.__exit__()
            raise SideEnded(f"the side {self.job.side!r} ended:\n{words}") from None
        return answer


def available(names: Sequence[str]) -> list[str]:
    """The sides that can run here; says so where TRL's environment is missing."""
    if "trl" in names and trl_python() is None:
        print("TRL's environment is missing (python -m performance.environment); going on without TRL")
        return [name for name in names if name != "trl"]
    return list(names)


def turns(
    running: Mapping[Key, Side], steps: int, *, per_turn: int = 1, **request: Any
) -> dict[Key, Answers]:
    """`steps` answers of each, in turn: the last of `per_turn`, as who has slept begins slowly."""
    answers: dict[Key, Answers] = {key: [] for key in running}
    for _ in range(steps):
        for key, side in running.items():
            answers[key].append([side.ask(**request) for _ in range(per_turn)][-1])
    return answers


def race(
    jobs: Sequence[Job],
    rounds: Sequence[tuple[int, int, dict[str, Any]]],
    *,
    alone: bool = False,
    per_turn: int = 1,
) -> list[Steps]:
    """For each (steps, warm-up, request) the answers by side; those to the warm-up are thrown away.

    With `alone` one side after the other, where they do not fit into memory together. TRL's side has no
    supervised step and is left out of one.
    """
    made: list[Steps] = [{} for _ in rounds]
    for together in [[job] for job in jobs] if alone else [list(jobs)]:
        with ExitStack() as started:
            running = {job.side: started.enter_context(Side(job)) for job in together}
            for answers, (steps, warmup, request) in zip(made, rounds, strict=True):
                able = {n: s for n, s in running.items() if n != "trl" or request["do"] != "sft"}
                turns(able, warmup, **request)
                answers.update(turns(able, steps, per_turn=per_turn, **request))
    return made


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values)}


def phases(steps: Answers) -> dict[str, dict[str, float]]:
    """Median, least and most of everything the steps answered."""
    return {name: spread([step[name] for step in steps]) for name in steps[0]}


def ratios(peer: Answers, ours: Answers) -> dict[str, Any]:
    """How many times faster we are: each step against the peer's next to it."""
    shared = [name for name in ours[0] if name in peer[0] and name != "tokens"]
    return {name: spread([p[name] / o[name] for p, o in zip(peer, ours, strict=True)]) for name in shared}


def gradient_gaps(jobs: Sequence[Job]) -> dict[str, float]:
    """|their gradient - ours| / |ours| on a few fixed rollouts at equal weights, by side."""
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for job in jobs:
            few = replace(job, shape=replace(job.shape, prompts=2, group=2), micro_batch=2, fresh=1)
            with Side(few) as side:
                side.ask(do="gradient", file=f"{folder}/{job.side}")
            found[job.side] = load_file(f"{folder}/{job.side}")
    ours = found.pop("ours")
    norm = sum(float(g.square().sum()) for g in ours.values()) ** 0.5
    gaps = {}
    for name, theirs in found.items():
        assert theirs.keys() == ours.keys(), f"{name} trains other parameters"
        gaps[name] = sum(float((theirs[key] - g).square().sum()) for key, g in ours.items()) ** 0.5 / norm
    return gaps


def fastest_micro_batch(job: Job, candidates: Sequence[int]) -> dict[str, float]:
    """Seconds of a step by micro-batch size: one step of each after one to warm up.

    A size that does not fit into memory is left out. Raises SideEnded where none fits.
    """
    seconds = {}
    for size in sorted({min(size, job.shape.samples) for size in candidates}):
        if job.shape.samples % size == 0:
            try:
                [steps] = race([replace(job, micro_batch=size, fresh=3)], [(1, 1, {"do": "step"})])
            except SideEnded as error:
                if "out of memory" not in str(error).lower():
                    raise
                continue
            seconds[str(size)] = steps[job.side][0]["step"]
    if not seconds:
        raise SideEnded(f"no micro-batch of {list(candidates)} fits into memory on the side {job.side!r}")
    return seconds
