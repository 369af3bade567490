"""What is freed is found again, measured in a process of its own."""

import os
import subprocess
import sys

import pytest

from stablereward.policies.host_memory import SETTINGS

FAULTS = """
import resource, sys, torch
from stablereward.policies.host_memory import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "kept" else False
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
# The heap finds its form during the first of them.
for _ in range(30):
    torch.ones(2**24)
before = faults()
for _ in range(10):
    torch.ones(2**24)
print(int(kept), faults() - before)
"""


def measured(how: str, **settings: str) -> tuple[bool, int]:
    environment = {k: v for k, v in os.environ.items() if k not in SETTINGS} | settings
    run = subprocess.run(
        [sys.executable, "-c", FAULTS, how], env=environment, capture_output=True, text=True, check=True
    )
    kept, faults = run.stdout.split()
    return kept == "1", int(faults)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is on Linux")
def test_pages_are_asked_for_once() -> None:
    kept, few = measured("kept")
    if not kept:
        pytest.skip("this C library has no such setting")
    _, many = measured("plain")
    assert few * 5 < many


@pytest.mark.parametrize("name", SETTINGS)
def test_the_users_own_setting_stays(name: str) -> None:
    assert (
        measured("kept", **{name: "glibc.malloc.tcache_count=7" if "GLIBC" in name else "1000000"})[0]
        is False
    )
