"""Freed memory is kept for the next tensor of the same size.

The C library returns large blocks to the system at once, and the system hands out every page anew and
zeroed. Training asks for the same blocks at every update.
"""

import ctypes
import os
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Names of glibc's settings, https://man7.org/linux/man-pages/man3/mallopt.3.html."""
LARGEST = 2**30
SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Keeps blocks of up to 1 GiB in the process; says whether that was possible.

    Only with glibc, and not where the user has set the allocator through the environment.
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in SETTINGS):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(MMAP_THRESHOLD, LARGEST)) and bool(mallopt(TRIM_THRESHOLD, 2**31 - 1))
