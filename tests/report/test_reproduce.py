import base64
import gzip
import json
import random
from pathlib import Path
from typing import Any

from stablereward.report.reproduce import PACKED, PLAIN, reproduce_section
from stablereward.report.run import read_run

from .reading import Reader
from .recording import MACHINE


def section(folder: Path, **files: bytes) -> Reader:
    folder.mkdir(exist_ok=True)
    for name, content in {"config_yaml": b"seed: 0\n", **files}.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    return Reader(reproduce_section(read_run(folder)) or "")


def machines(*changes: dict[str, Any]) -> bytes:
    return json.dumps([{**MACHINE, **change} for change in changes]).encode()


def test_the_command_names_the_recipe_and_a_new_folder(tmp_path: Path):
    folder = tmp_path / "it's a run"
    assert "stablereward train r1_reward --config config.yaml --set output='runs/it'\"'\"'s a run-again'" in (
        section(folder, machine_json=machines({})).text
    )


def test_without_a_record_the_recipe_is_asked_for(tmp_path: Path):
    said = section(tmp_path).text
    assert "stablereward train RECIPE --config config.yaml" in said
    assert "put its name in place of RECIPE" in said
    assert "Machine" not in said


def test_downloads_are_the_files_themselves(tmp_path: Path):
    content = b'{"update": 1}\n'
    links = section(tmp_path, metrics_jsonl=content, results_json=b"{").named("a")
    assert [one["download"] for one in links] == ["config.yaml", "metrics.jsonl", "results.json"]
    assert links[1]["href"].startswith("data:application/jsonl;base64,")
    assert [base64.b64decode(one["href"].partition(",")[2]) for one in links] == [b"seed: 0\n", content, b"{"]


def test_a_large_file_is_packed_and_a_huge_one_named(tmp_path: Path):
    large = b'{"update": 1}\n' * (PLAIN // 10)
    [_, link] = section(tmp_path, metrics_jsonl=large).named("a")
    assert link["download"] == "metrics.jsonl.gz"
    assert gzip.decompress(base64.b64decode(link["href"].partition(",")[2])) == large
    noise = random.Random(0).randbytes(PACKED * 2)
    read = section(tmp_path, metrics_jsonl=noise)
    assert [one["download"] for one in read.named("a")] == ["config.yaml"]
    assert "metrics.jsonl (900.0 kB) lies in the run folder" in read.text


def test_every_machine_has_a_column(tmp_path: Path):
    said = section(tmp_path, machine_json=machines({}, {"cpu": "Other", "gpus": ["H100, 79.1 GiB"]})).text
    assert "2 machines worked on this run, in this order." in said
    assert "ProcessorAMD EPYC 7B13, 2 cores, 2 torch threadsOther, 2 cores, 2 torch threads" in said
    assert "GPUnoneH100, 79.1 GiB" in said
    assert "stablereward 0.1.0, python 3.11.2, torch 2.13.0" in said
