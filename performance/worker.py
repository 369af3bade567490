"""One side of a race as a process of its own: it holds its model ready and does one thing on command.

Started by `race.Side`, which sends a `work.Job` and then requests down a pipe.
"""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from performance.device import Device
from performance.work import Job

Request = dict[str, Any]
Answer = dict[str, Any]
Work = Callable[[], Answer]
Line = Connection
"""Job and requests come in, answers go out; at its end `recv` raises EOFError."""
GRADIENT_NUMBERS = 2**16
"""How many numbers of a parameter's gradient are compared, evenly spaced; all of them where it is small."""


class Stopwatch:
    """Seconds by phase of one step, waiting for the device at every edge."""

    def __init__(self, device: Device) -> None:
        self.now = device.now
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = self.now()
        yield
        self.add(name, self.now() - start)

    def add(self, name: str, seconds: float) -> None:
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def take(self) -> dict[str, float]:
        """What was measured since the last call."""
        taken, self.seconds = self.seconds, {}
        return taken


class Worker:
    """A side that answers requests. Its methods `step`, `sft`, `gradient` and `judge` prepare what is
    asked for and return the work that is timed."""

    def __init__(self, job: Job) -> None:
        self.job, self.device = job, Device(job.device)
        self.watch = Stopwatch(self.device)

    def answer(self, request: Request) -> Answer:
        """Does what `request["do"]` names, with its phases; with `memory` in it the bytes instead."""
        work: Work = getattr(self, request["do"])(request)
        self.watch.take()
        if request.get("memory"):
            before = self.device.start_memory()
            work()
            return self.device.memory_since(before)
        start = self.watch.now()
        answer = work()
        return {"step": self.watch.now() - start, **self.watch.take(), **answer}

    def serve(self, line: Line) -> None:
        """Answers until there are no more requests."""
        line.send({"ready": True})
        while True:
            line.send(self.answer(line.recv()))


def write_gradient(model: Any, file: str) -> Answer:
    """Saves a part of every parameter's gradient under its name and clears it."""
    found = {}
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            apart = -(-parameter.numel() // GRADIENT_NUMBERS)
            found[name] = parameter.grad.flatten()[::apart].float().cpu().contiguous()
    save_file(found, Path(file))
    model.zero_grad(set_to_none=True)
    return {"parameters": len(found)}


def main() -> None:
    line = Line(int(sys.argv[1]))
    job: Job = line.recv()
    try:
        module = job.side.partition("/")[0]
        importlib.import_module(f"performance.side_{module}").run(job, line)
    except EOFError:
        # At once: what libraries do at their end is nobody's time.
        os._exit(0)


if __name__ == "__main__":
    main()
