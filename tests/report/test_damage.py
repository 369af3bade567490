"""A damaged run is still a page, which says what it leaves out, as the command does in one line."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stablereward.report.alerts import left_out
from stablereward.report.compare import comparison_page
from stablereward.report.report import write_report
from stablereward.report.run import read_run

from .reading import Reader
from .sample import write_run

FILES = (
    "config.yaml",
    "metrics.jsonl",
    "timings.jsonl",
    "distributions.jsonl",
    "machine.json",
    "results.json",
    "categories.json",
    "examples.jsonl",
    "rollouts/rl.jsonl",
    "judgements/trained-judge-1.jsonl",
)
WRONG: tuple[Any, ...] = (None, True, -1, 10**400, 1e308, float("nan"), "", "x", [], [[]], {}, {"a": [1]})


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "run", num_examples=3, rl_updates=5)


@pytest.fixture
def run(small: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small, tmp_path / "run"))


def half(content: bytes) -> bytes:
    return content[: len(content) // 2 - 3]


def broken_line(content: bytes) -> bytes:
    """The second line no JSON."""
    lines = content.splitlines(keepends=True)
    return b"".join([*lines[:1], b'{"update": \n', *lines[2:]])


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "cut": half,
    "broken line": broken_line,
    "no UTF-8": lambda content: content[:30] + b"\xff\xfe" + content[30:],
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_damage_is_named_at_the_top_and_told(run: Path, name: str, damage: str):
    if name == "config.yaml" and damage != "no UTF-8":
        pytest.skip("any text is a config file")
    path = run / name
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    told: list[str] = []
    page = write_report(run, tell=told.append).read_text(encoding="utf-8")
    [line] = told
    assert line.startswith(f"{run}: Not all of this run could be read: {name}") and "\n" not in line
    if name.endswith(".jsonl") and damage == "broken line":
        assert f"{name}:2 left out: not" in line
    assert Reader(page).text.index(" ".join(line.split()[1:])) < 600


@pytest.mark.parametrize("name", [*FILES, "rollouts"])
def test_a_file_that_is_missing_or_a_folder_is_named(run: Path, name: str):
    path = run / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    told: list[str] = []
    write_report(run, tell=told.append)
    silent = ("machine.json", "judgements/trained-judge-1.jsonl")
    absent = f"{name.removesuffix('/rl.jsonl')} is not in the folder"
    assert [absent in line for line in told] == ([] if name in silent else [True])
    path.mkdir(parents=True)
    told.clear()
    write_report(run, tell=told.append)
    words = (
        "rollouts is not in the folder" if name == "rollouts" else f"{name} cannot be read (Is a directory)"
    )
    assert [words in line for line in told] == [True]


@pytest.mark.parametrize("place", ["stage", "update", "event", "seconds", "reward/mean"])
def test_a_value_of_a_wrong_type_stops_nothing(run: Path, place: str):
    for name in ("metrics.jsonl", "timings.jsonl", "distributions.jsonl"):
        rows = [json.loads(line) for line in (run / name).read_text().splitlines()]
        odd = [{**rows[0], place: wrong} for wrong in WRONG]
        (run / name).write_text("".join(json.dumps(row) + "\n" for row in [*odd, *rows]))
    one = read_run(run)
    assert Reader(write_report(run).read_text(encoding="utf-8")).named("section")
    assert Reader(comparison_page([one, one])).named("section")


def changed(rng: random.Random, value: Any) -> Any:
    """The value with something in it replaced by what does not belong there."""
    if isinstance(value, dict | list) and value and rng.random() < 0.8:
        place = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        copy = value.copy()
        copy[place] = changed(rng, copy[place])
        return copy
    return rng.choice(WRONG)


@pytest.mark.parametrize("seed", range(20))
def test_any_row_may_hold_anything(run: Path, seed: int):
    rng = random.Random(seed)
    for name in FILES[1:]:
        content = (run / name).read_text()
        if name.endswith(".json"):
            content = json.dumps(changed(rng, json.loads(content)))
        else:
            rows = [json.loads(line) for line in content.splitlines()]
            for place in rng.sample(range(len(rows)), 2):
                rows[place] = changed(rng, rows[place])
            content = "".join(json.dumps(row) + "\n" for row in rows)
        (run / name).write_text(content)
    assert "\n" not in left_out(read_run(run))
    assert Reader(write_report(run).read_text(encoding="utf-8")).named("section")
