"""What the commands share: their options, the machine's facts, the model's folder, and where results go."""

import argparse
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from performance.device import DEVICES, Device
from performance.environment import trl_python
from performance.table import RESULTS, markdown
from performance.work import Shape, create, small
from stablereward.policies.published import SIZES

LIBRARIES = ("torch", "transformers", "accelerate", "numpy", "pillow")


def parser(description: str, *sides: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--device", default="cpu", choices=DEVICES)
    made.add_argument("--size", default="tiny", choices=["tiny", *SIZES])
    made.add_argument("--steps", type=int, default=10, help="measured steps of every side")
    made.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    made.add_argument("--fast", action="store_true", help="see that it works: tiny shapes, 2 steps")
    made.add_argument("--output", type=Path, default=RESULTS)
    if sides:
        made.add_argument("--sides", nargs="+", default=[*sides], choices=["ours", "plain", "trl"])
        made.add_argument("--micro-batch", type=int, help="rows of a forward pass of the others")
        made.add_argument("--alone", action="store_true", help="one side after the other, not in turn")
        made.add_argument("--checkpointing", action="store_true", help="gradient checkpointing on every side")
    return made


def read(made: argparse.ArgumentParser, given: list[str] | None) -> argparse.Namespace:
    """The options; the number of threads holds for this process and all workers."""
    options = made.parse_args(given)
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    torch.set_num_threads(options.threads)
    options.fast |= options.device == "rehearsal"
    if options.fast:
        options.steps = min(options.steps, 2)
    return options


def sized(shape: Shape, options: argparse.Namespace) -> Shape:
    return small(shape) if options.fast else shape


@contextmanager
def model_folder(options: argparse.Namespace) -> Iterator[str]:
    """A model of random weights, there as long as the context is."""
    with tempfile.TemporaryDirectory() as folder:
        create(Path(folder), options.size, Device(options.device))
        yield folder


def machine(options: argparse.Namespace) -> dict[str, Any]:
    """What the figures depend on besides the code."""
    cpu = [ln for ln in Path("/proc/cpuinfo").read_text().splitlines() if ln.startswith("model name")]
    facts: dict[str, Any] = {
        "cpu": cpu[0].partition(":")[2].strip() if cpu else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": options.threads,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "python": platform.python_version(),
        "gpu": Device(options.device).gpu(),
        "ours": {name: version(name) for name in LIBRARIES},
    }
    if (python := trl_python()) is not None:
        ask = "import json, sys; from importlib.metadata import version as v; "
        ask += "print(json.dumps({n: v(n) for n in sys.argv[1:]}))"
        asked = [str(python), "-c", ask, "trl", *LIBRARIES]
        facts["trl"] = json.loads(subprocess.check_output(asked, text=True))
    return facts


def report(options: argparse.Namespace, kind: str, result: dict[str, Any], picture: str) -> None:
    """Writes `kind-device-size.json` and `.svg` and prints the tables; a fast run and a rehearsal are
    marked, so that nobody takes them for a measurement."""
    options.output.mkdir(parents=True, exist_ok=True)
    mark = "-fast" if options.fast else ""
    path: Path = options.output / f"{kind}-{options.device}-{options.size}{mark}.json"
    head = {"kind": kind, "device": options.device, "size": options.size, "fast": options.fast}
    path.write_text(json.dumps({**head, **result}, indent=1) + "\n")
    path.with_suffix(".svg").write_text(picture)
    print(markdown(json.loads(path.read_text())), path, sep="\n")
