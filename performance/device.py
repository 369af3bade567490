"""All that differs between a CPU, a GPU, and the GPU's path when it is rehearsed on a CPU."""

import ctypes
import gc
import time
from dataclasses import dataclass
from pathlib import Path

import torch

DEVICES = ("cpu", "cuda", "rehearsal")
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12}
"""Dense bfloat16 operations a second by the makers' data sheets."""


@dataclass(frozen=True, slots=True)
class Device:
    """One of DEVICES. A rehearsal makes every choice that is made for a GPU, but computes on the CPU."""

    name: str

    @property
    def like_gpu(self) -> bool:
        return self.name != "cpu"

    @property
    def place(self) -> str:
        """Where tensors are, as torch calls it."""
        return "cuda" if self.name == "cuda" else "cpu"

    @property
    def number(self) -> torch.dtype:
        """What is computed in; weights are float32 on every device."""
        return torch.bfloat16 if self.like_gpu else torch.float32

    @property
    def shrink(self) -> int:
        """A rehearsal's model has an eighth of the published layers, widths and words."""
        return 8 if self.name == "rehearsal" else 1

    def precision(self) -> torch.autocast:
        return torch.autocast(self.place, torch.bfloat16, enabled=self.like_gpu)

    def now(self) -> float:
        """Seconds, once all that was asked of the device is done."""
        if self.place == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def start_memory(self) -> int:
        """The bytes held, after what is free was given back; the peak is counted from here."""
        gc.collect()
        if self.place == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            return torch.cuda.memory_allocated()
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")

    def memory_since(self, before: int) -> dict[str, int]:
        peak = torch.cuda.max_memory_allocated() if self.place == "cuda" else _status("VmHWM")
        return {"bytes_before": before, "bytes_peak": peak, "bytes_growth": peak - before}

    def gpu(self) -> str:
        """The GPU's name, empty without one."""
        return torch.cuda.get_device_name() if self.place == "cuda" else ""


def peak_rate(gpu: str, measured: float) -> float:
    """The data sheet's operations a second of a GPU that is known, elsewhere the measured rate."""
    return next((peak for name, peak in PEAKS.items() if name in gpu), measured)


def _status(name: str) -> int:
    [line] = [ln for ln in Path("/proc/self/status").read_text().splitlines() if ln.startswith(name)]
    return int(line.split()[1]) * 1024
