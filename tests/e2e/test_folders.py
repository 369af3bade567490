"""A run's folder: one process at a time, moved at will, and nothing left of a start that failed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from stablereward.config import resolve
from stablereward.errors import ConfigError, EngineError, ModelError
from stablereward.recipes.judges.r1_reward import Config, Server, run, tiny
from tests.loopback import closed_port_url

SMALL = (
    "data.toy.num_train=8",
    "data.toy.num_held_out=3",
    "cold_start.epochs=1",
    "cold_start.batch_size=4",
    "difficulty.num_tries=1",
    "difficulty.min_tries=1",
    "rl.num_updates=2",
    "rl.prompts_per_batch=2",
    "rl.num_generations=2",
    "rl.max_completion_length=8",
    "votes=[1]",
    "hardware.save_every=1",
    "hardware.device=cpu",
)


def small(output: Path, *more: str) -> Config:
    return resolve(Config, None, [*SMALL, f"output={output}", *more], base=tiny())


def started(output: Path, *more: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    sets = [part for setting in (*SMALL, f"output={output}") for part in ("--set", setting)]
    command = [sys.executable, "-m", "stablereward", "train", "r1_reward", "--tiny", *sets, *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not appear"
        time.sleep(0.01)


@pytest.mark.slow
def test_a_second_process_is_refused_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = started(folder)
    wait_for(folder / "demonstrations.jsonl")
    first.send_signal(signal.SIGSTOP)  # it stays as long as the second needs to be told
    for more in ((), ("--resume",)):
        second = started(folder, *more)
        _, said = second.communicate(timeout=120)
        assert second.returncode == 2 and f"process {first.pid} on " in said and "is at work here" in said
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert (folder / ".lock").exists()
    third = started(folder, "--resume")
    _, said = third.communicate(timeout=240)
    assert third.returncode == 0, said
    assert (folder / "results.json").exists() and not (folder / ".lock").exists()


def test_a_folder_goes_on_where_it_was_copied_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small(tmp_path / "here")
    folder = run(config)
    there = tmp_path / "there"
    shutil.copytree(folder, there)
    for name in ("judge", "judgements"):
        shutil.rmtree(there / name)
    (there / "results.json").unlink()
    run(replace(config, output=there), resume=True)
    for name in ("metrics.jsonl", "results.json", "judge/model.safetensors"):
        assert (there / name).read_bytes() == (folder / name).read_bytes(), name
    assert resolve(Config, there / "config.yaml").output == there
    other = replace(config, output=there, rl=replace(config.rl, num_updates=3), seed=4)
    with pytest.raises(ConfigError, match=r"rl\.num_updates 2 there, 3 here; seed 0 there, 4 here\."):
        run(other, resume=True)


def test_a_start_that_failed_is_started_again_with_what_was_wrong_corrected(tmp_path: Path) -> None:
    good = small(tmp_path / "run")
    nobody = Server(base_url=closed_port_url(), model="m", timeout=1.0)
    broken = tmp_path / "model"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    for bad, error in (
        (replace(good, model=str(broken)), ModelError),
        (replace(good, annotator=nobody), EngineError),
    ):
        with pytest.raises(error):
            run(bad)
        assert not good.output.exists()
        with pytest.raises(error):
            run(bad, resume=True)
        assert not good.output.exists()
    assert json.loads((run(good) / "results.json").read_text())
