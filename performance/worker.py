"""One side of a race as a process of its own: it holds its model ready and does one thing on command.

Requests and answers are JSON, one a line, on stdin and stdout. What libraries print goes to stderr.
`python -m performance.worker '{"side": "ours", …}'`; see `work.Job`.
"""

import ctypes
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from performance.work import Job

Request = dict[str, Any]
Answer = dict[str, Any]


class Line:
    """The two ends of the conversation with the race."""

    def __init__(self) -> None:
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        self._requests = sys.stdin

    def receive(self) -> Request:
        """The next request. Ends the process where there will be none."""
        line = self._requests.readline()
        if not line:
            sys.stderr.flush()
            os._exit(0)
        request: Request = json.loads(line)
        return request

    def send(self, answer: Answer) -> None:
        self._answers.write(json.dumps(answer) + "\n")
        self._answers.flush()


class Stopwatch:
    """Seconds by phase of one step, waiting for the device at every edge."""

    def __init__(self, device: str) -> None:
        self._on_gpu = device.startswith("cuda")
        self.seconds: dict[str, float] = {}

    def now(self) -> float:
        if self._on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter()

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


class Memory:
    """Bytes before a step, what is free given back first, and at its peak; one rule for every side."""

    def __init__(self, device: str) -> None:
        self._on_gpu = device.startswith("cuda")
        self._before = 0

    def start(self) -> None:
        gc.collect()
        if self._on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
            return
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        self._before = _status("VmRSS")

    def stop(self) -> dict[str, int]:
        peak = torch.cuda.max_memory_allocated() if self._on_gpu else _status("VmHWM")
        return {"bytes_before": self._before, "bytes_peak": peak, "bytes_growth": peak - self._before}


def _status(name: str) -> int:
    [line] = [ln for ln in Path("/proc/self/status").read_text().splitlines() if ln.startswith(name)]
    return int(line.split()[1]) * 1024


def measured(job: Job, watch: Stopwatch, request: Request, step: Callable[[], Answer]) -> Answer:
    """One step with its phases; with `memory` in the request also its bytes, in a step that is not timed."""
    memory = Memory(job.device)
    watch.take()
    if request.get("memory"):
        memory.start()
        step()
        return memory.stop()
    start = watch.now()
    answer = step()
    return {"step": watch.now() - start, **watch.take(), **answer}


def write_gradient(model: Any, file: str) -> Answer:
    """Saves every parameter's gradient under its name and clears it."""
    found = {name: p.grad.float().cpu() for name, p in model.named_parameters() if p.grad is not None}
    save_file(found, Path(file))
    model.zero_grad(set_to_none=True)
    return {"parameters": len(found)}


def serve(line: Line, sides: dict[str, Callable[[Request], Answer]]) -> None:
    """Answers requests by their `do` until there are no more."""
    line.send({"ready": True, "torch": torch.__version__, "threads": torch.get_num_threads()})
    while True:
        request = line.receive()
        line.send(sides[request["do"]](request))


def main() -> None:
    line = Line()
    job = Job.of(json.loads(sys.argv[1]))
    if job.side == "trl":
        from performance import side_trl

        side_trl.run(job, line)
    elif job.side == "plain":
        from performance import side_plain

        side_plain.run(job, line)
    else:
        from performance import side_ours

        side_ours.run(job, line)


if __name__ == "__main__":
    main()
