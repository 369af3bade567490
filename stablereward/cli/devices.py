"""Where a model can run on this machine."""

import os
from pathlib import Path
from typing import NamedTuple

from stablereward.errors import ConfigError

GIB = 2**30
ROOM = 0.9
"""The share of a memory that a model may fill; the rest goes to the system and to fragments."""


class Device(NamedTuple):
    """Where a model can run, and how much memory it has there, in bytes."""

    name: str
    memory: int
    gpu: bool

    def fits(self, need: float) -> bool:
        return need <= ROOM * self.memory


def devices() -> list[Device]:
    """GPUs, the one with most memory first, then the CPU."""
    import torch

    gpus = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    found = [Device(f"GPU {number}, {gpu.name}", gpu.total_memory, True) for number, gpu in enumerate(gpus)]
    threads = torch.get_num_threads()
    cpu = Device(f"CPU, {threads} torch thread{'s' * (threads > 1)}", _main_memory(), False)
    return [*sorted(found, key=lambda device: -device.memory), cpu]


def device_of(name: str | None) -> Device:
    """The device that a run with this `hardware.device` uses. Raises ConfigError where it is not there."""
    import torch

    from stablereward.policies.token import device_named

    device = device_named(name)
    available = devices()
    if device.type == "cpu":
        return available[-1]
    if device.type != "cuda":
        raise ConfigError(f"the memory of {name!r} is not known; a plan is for a CPU or a CUDA GPU")
    number = torch.cuda.current_device() if device.index is None else device.index
    return next(found for found in available if found.name.startswith(f"GPU {number},"))


def _main_memory() -> int:
    """Bytes of main memory, or of this container's share."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.exists() else ""
    return min(memory, int(text)) if text.isdecimal() else memory
