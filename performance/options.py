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

from performance.environment import ROOT, trl_python
from performance.work import SIZES, Shape, create

RESULTS = ROOT / "performance" / "results"
LIBRARIES = ("torch", "transformers", "accelerate", "numpy", "pillow")


def parser(description: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--device", default="cpu", help="cpu or cuda")
    made.add_argument("--size", default="tiny", choices=["tiny", *SIZES])
    made.add_argument("--steps", type=int, default=10, help="measured steps of every side")
    made.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    made.add_argument("--checkpointing", action="store_true", help="gradient checkpointing on every side")
    made.add_argument("--fast", action="store_true", help="see that it works: tiny shapes, 2 steps")
    made.add_argument("--output", type=Path, default=RESULTS)
    return made


def read(made: argparse.ArgumentParser, given: list[str] | None) -> argparse.Namespace:
    """The options; the number of threads holds for this process and all workers."""
    options = made.parse_args(given)
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    torch.set_num_threads(options.threads)
    if options.fast:
        options.steps = min(options.steps, 2)
    return options


def small(shape: Shape) -> Shape:
    """A shape of the same lengths' kind that takes no time."""
    image = min(shape.image, 16)
    prompt = min(shape.prompt, 60)
    return Shape(
        prompt=prompt, completion=min(shape.completion, 6), prompts=2, group=min(shape.group, 4), image=image
    )


@contextmanager
def model_folder(options: argparse.Namespace) -> Iterator[str]:
    """A model of random weights, there as long as the context is."""
    with tempfile.TemporaryDirectory() as folder:
        create(Path(folder), options.size, options.device)
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
        "ours": {name: version(name) for name in LIBRARIES},
    }
    if options.device.startswith("cuda"):
        facts["gpu"] = torch.cuda.get_device_name()
    if (python := trl_python()) is not None:
        ask = "import json, sys; from importlib.metadata import version as v; "
        ask += "print(json.dumps({n: v(n) for n in sys.argv[1:]}))"
        answer = subprocess.run(
            [str(python), "-c", ask, "trl", *LIBRARIES], check=True, capture_output=True, text=True
        )
        facts["trl"] = json.loads(answer.stdout)
    return facts


def write(options: argparse.Namespace, kind: str, result: dict[str, Any], picture: str) -> Path:
    """`kind-device-size.json` and `.svg`; a fast run is marked, so that nobody takes it for a measurement."""
    options.output.mkdir(parents=True, exist_ok=True)
    mark = "-fast" if options.fast else ""
    path: Path = options.output / f"{kind}-{options.device.partition(':')[0]}-{options.size}{mark}.json"
    path.write_text(
        json.dumps({"kind": kind, "size": options.size, "fast": options.fast, **result}, indent=1) + "\n"
    )
    path.with_suffix(".svg").write_text(picture)
    return path
