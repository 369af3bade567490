"""A run that is killed at any moment and resumed ends bit for bit like one that was not."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stablereward.policies.shipped import model_folder

SETTINGS = (
    "data.toy.num_train=48",
    "data.toy.num_held_out=12",
    "cold_start.epochs=2",
    "cold_start.batch_size=8",
    "rl.num_updates=6",
    "rl.prompts_per_batch=4",
    "rl.num_generations=4",
    "rl.updates_per_batch=2",
    "rl.max_completion_length=64",
    "hardware.save_every=2",
    "votes=[1, 3]",
)
NUM_KILLS = 4


def _command(output: Path, *, resume: bool) -> list[str]:
    sets = [part for setting in (*SETTINGS, f"output={output}") for part in ("--set", setting)]
    resumed = ["--resume"] if resume else []
    return [sys.executable, "-m", "stablereward", "train", "r1_reward", "--tiny", *sets, *resumed]


def _run(output: Path, *, resume: bool = False, kill_after: float | None = None) -> float:
    """Runs to the end, or kills the process when its folder has changed for `kill_after` seconds."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    clock = time.monotonic()
    process = subprocess.Popen(
        _command(output, resume=resume), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        _, errors = process.communicate(timeout=kill_after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return time.monotonic() - clock
    assert process.returncode == 0, errors.decode()
    return time.monotonic() - clock


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    model_folder("toy-base")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    seconds = _run(whole)
    rng = random.Random(os.getpid())
    # Start-up is a third of so short a run; kills before the folder exists would test nothing.
    moments = [rng.uniform(0.4, 0.95) * seconds for _ in range(NUM_KILLS)]
    resume = False
    for moment in moments:
        _run(broken, resume=resume, kill_after=moment)
        resume = resume or (broken / "config.yaml").exists()
    _run(broken, resume=resume)
    config = (broken / "config.yaml").read_text().replace(str(broken), str(whole))
    assert config == (whole / "config.yaml").read_text()
    for name in (
        "metrics.jsonl",
        "distributions.jsonl",
        "demonstrations.jsonl",
        "difficulty.jsonl",
        "results.json",
        "examples.jsonl",
    ):
        assert (broken / name).read_bytes() == (whole / name).read_bytes(), (name, moments)
    for name in ("cold_start/model.safetensors", "judge/model.safetensors"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes(), (name, moments)
    kept = sorted(path.name for path in (whole / "rollouts").iterdir())
    assert sorted(path.name for path in (broken / "rollouts").iterdir()) == kept
    for name in kept:
        assert (broken / "rollouts" / name).read_bytes() == (whole / "rollouts" / name).read_bytes()
    assert not list(broken.rglob(".partial-*"))
