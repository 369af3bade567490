import json
import platform
from pathlib import Path
from typing import Any

import torch

import stablereward
from stablereward.runs.machine import keep_machine, machine


def kept(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "machine.json").read_text(encoding="utf-8"))


def test_the_machine_is_kept_once_however_often_a_run_is_resumed(tmp_path: Path):
    keep_machine(tmp_path, "r1_reward")
    before = (tmp_path / "machine.json").read_bytes()
    keep_machine(tmp_path, "r1_reward")
    assert (tmp_path / "machine.json").read_bytes() == before
    [here] = kept(tmp_path)
    assert here == {"recipe": "r1_reward", **machine()}


def test_a_run_that_moved_has_both_machines_in_order(tmp_path: Path):
    (tmp_path / "machine.json").write_text('[{"recipe": "r1_reward", "cpu": "another"}]')
    keep_machine(tmp_path, "r1_reward")
    assert [one["cpu"] for one in kept(tmp_path)] == ["another", machine()["cpu"]]


def test_a_damaged_file_is_begun_anew(tmp_path: Path):
    (tmp_path / "machine.json").write_bytes(b"[{\xff")
    keep_machine(tmp_path, "a")
    assert len(kept(tmp_path)) == 1


def test_it_says_what_a_figure_hangs_on_and_not_whose_machine_it_is():
    here = machine()
    assert here["cpu"] and here["cores"] >= 1 and here["memory_gib"] > 0
    assert here["threads"] == torch.get_num_threads()
    assert here["versions"]["torch"] == torch.__version__
    assert here["versions"]["stablereward"] == stablereward.__version__
    assert platform.node() not in json.dumps(here)
