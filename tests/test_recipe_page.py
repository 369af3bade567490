"""The page on recipes keeps its promise: its example, saved as one more file of the package, is a recipe."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from source import PACKAGE, ROOT
from test_budgets import RECIPE_LINES

from stablereward.recipes import found

Stranger = Callable[..., str]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package in which one file is new."""
    root: Path = tmp_path_factory.mktemp("checkout")
    shutil.copytree(PACKAGE, root / "stablereward")
    (root / "stablereward/recipes/tokens/vowels.py").write_text(example(), encoding="utf-8")
    return root


@pytest.fixture
def stranger(checkout: Path) -> Stranger:
    """The command of that copy, in its root; gives what it prints."""

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "stablereward", *arguments],
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def page() -> str:
    return (ROOT / "docs/recipe.md").read_text(encoding="utf-8")


def example() -> str:
    [block] = re.findall(r"^```python\n(.*?)^```", page(), flags=re.DOTALL | re.MULTILINE)
    return str(block)


def test_the_example_keeps_the_budgets_of_a_recipe() -> None:
    lines = example().splitlines()
    assert 40 <= len(lines) <= RECIPE_LINES and max(map(len, lines)) <= 110


@pytest.mark.slow
def test_the_file_is_found_shown_planned_and_trained(checkout: Path, stranger: Stranger) -> None:
    assert "tokens/vowels" not in found.described()
    assert "tokens/vowels" in stranger("recipes")
    assert "output: runs/vowels" in stranger("train", "vowels", "--dry-run")
    assert "fits: " in stranger("doctor", "--plan", "vowels")
    out = stranger("train", "vowels", "--tiny", "--set", "rl.num_updates=2", "--set", "output=runs/short")
    assert "start_vowels" in out and (checkout / "runs/short/report.html").exists()


@pytest.mark.slow
def test_the_lab_writes_its_evidence_its_page_and_its_line_in_the_table(
    checkout: Path, stranger: Stranger
) -> None:
    said = stranger("lab", "vowels", "--seeds", "2").splitlines()
    assert said[0].startswith("shown: The set-up learns") and len(said) == 4
    evidence = json.loads((checkout / "evidence/tokens/vowels.json").read_text(encoding="utf-8"))
    assert list(evidence["arms"]) == ["baseline", "plain"]
    docs = checkout / "docs/recipes"
    written = (docs / "vowels.md").read_text(encoding="utf-8")
    assert "In as many updates a baseline gets further" in written and (docs / "vowels.svg").exists()
    table = (docs / "README.md").read_text(encoding="utf-8")
    known = (ROOT / "docs/recipes/README.md").read_text(encoding="utf-8")
    assert re.findall(r"\d+ of 51 systems", table) == re.findall(r"\d+ of 51 systems", known) != []
    assert "| [vowels](vowels.md) | tokens |" in table.partition("## Own")[2]

    before = {path: path.read_bytes() for path in docs.iterdir()}
    stranger("lab", "pages")
    assert {path: path.read_bytes() for path in docs.iterdir()} == before


def test_every_room_of_the_page_is_there() -> None:
    rooms = re.findall(r"`([\w/]+\.py)`", page().partition("## What others share")[2])
    assert rooms and not [room for room in rooms if not (found.FOLDER / room).exists()]
