"""The machine that a run was computed on, as `machine.json` keeps it: times and last digits hang on it."""

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import stablereward
from stablereward.runs.files import write_atomic

LIBRARIES = ("torch", "transformers", "tokenizers", "peft", "numpy", "pillow")
GIB = 2**30


def keep_machine(folder: Path, recipe: str) -> None:
    """Adds this machine and the recipe to `machine.json`, unless they are the last there already.

    A run that is resumed elsewhere has an entry for each machine, in order. A damaged file is begun anew.
    Raises StorageError.
    """
    path = folder / "machine.json"
    kept = _read(path)
    here = {"recipe": recipe, **machine()}
    if kept[-1:] != [here]:
        write_atomic(path, json.dumps([*kept, here], indent=1, ensure_ascii=False) + "\n")


def machine() -> dict[str, Any]:
    """Processor, memory in GiB, GPUs, system and versions; no name or address of the machine."""
    gpus = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    return {
        "system": platform.platform(),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB, 1),
        "gpus": [f"{gpu.name}, {gpu.total_memory / GIB:.1f} GiB" for gpu in gpus],
        "versions": {
            "stablereward": stablereward.__version__,
            "python": platform.python_version(),
            **_versions(),
        },
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    """The processor's model where the system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            found = next((line for line in file if line.startswith("model name")), "")
    except OSError:
        found = ""
    return found.partition(":")[2].strip() or platform.processor() or platform.machine()


def _read(path: Path) -> list[Any]:
    try:
        kept = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return []
    return kept if isinstance(kept, list) else []
