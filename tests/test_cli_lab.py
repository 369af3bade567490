"""`stablereward lab` as a user meets it."""

import json
from pathlib import Path

import pytest
import test_cli
from report.reading import Reader
from test_cli import Command, one_line

command = test_cli.command


@pytest.mark.slow
def test_the_fast_form_writes_tables_and_a_page_and_is_not_run_twice(
    command: Command, tmp_path: Path
) -> None:
    ask = ("lab", "stability", "--fast", "--output", tmp_path / "lab", "--docs", tmp_path / "docs")
    code, out, _ = command(*ask)
    assert code == 0
    written = tmp_path / "lab/stability"
    text = (written / "stability-results.md").read_text(encoding="utf-8")
    assert text in out and text == (tmp_path / "docs/stability-results.md").read_text(encoding="utf-8")
    figures = json.loads((tmp_path / "docs/stability-results.json").read_text(encoding="utf-8"))
    assert [(one["regime"], one["arm"], one["seed"]) for one in figures["runs"]] == [
        (regime, arm, 0)
        for regime in ("calm", "stress")
        for arm in ("reinforce_plus_plus", "stable_reinforce")
    ]
    assert all(one["held_out"]["n"] == 12 and one["course"]["updates"] == 8 for one in figures["runs"])
    page = Reader((written / "stability-results.html").read_text(encoding="utf-8"))
    assert "4 runs from one cold start" in page.text and len(page.named("svg", "chart")) == 5

    outcomes = {path: path.stat().st_mtime_ns for path in written.rglob("outcome.json")}
    assert len(outcomes) == 4
    code, again, errors = command(*ask)
    assert (code, again) == (0, out) and "4 of 4 runs are done already" in errors
    assert {path: path.stat().st_mtime_ns for path in outcomes} == outcomes


def test_the_filter_is_drawn(command: Command, tmp_path: Path) -> None:
    for name in ("filter.svg", "filter.html"):
        code, out, errors = command("lab", "filter", "--output", tmp_path / name)
        assert (code, errors) == (0, "") and (tmp_path / name).stat().st_size > 10_000
    assert "paper: every wrong answer is zeroed above 90.0% accuracy" in out
    assert "released code: every wrong answer is zeroed above 68.5% accuracy" in out


def test_coverage_is_a_table_of_pairs_and_one_of_seeds(command: Command) -> None:
    code, out, errors = command("lab", "coverage", "--repetitions", 100)
    assert (code, errors) == (0, "")
    pairs, seeds = out.split("\n\n")
    assert "| 20 pairs |" in pairs and "500 pairs" in pairs and len(pairs.splitlines()) == 12
    assert "mean over seeds" in seeds and " %" in seeds


def test_mistakes_are_one_line(command: Command, tmp_path: Path) -> None:
    code, _, errors = command("lab", "filter", "--output", tmp_path / "filter.png")
    assert code == 2 and "give a file that ends in .svg or .html" in one_line(errors)
    code, _, errors = command("lab", "stability", "--arms", "ppo,dpo", "--output", tmp_path)
    assert code == 2 and "there is no arm 'dpo'" in one_line(errors)
