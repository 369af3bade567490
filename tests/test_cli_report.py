"""`stablereward report` as a user meets it: the page's path on stdout, what it left out on stderr."""

import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from report.sample import write_run

from stablereward.cli import main
from stablereward.config import dump
from stablereward.recipes.judges import r1_reward
from stablereward.report.report import write_report
from stablereward.runs.machine import keep_machine

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in this process; gives the exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        assert isinstance(end.value.code, int)
        return end.value.code, *capsys.readouterr()

    return run


def test_a_whole_run_is_told_without_a_warning(command: Command, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", num_examples=1, rl_updates=5)
    assert command("report", run) == (0, f"{run / 'report.html'}\n", "")


def test_a_damaged_run_is_a_page_and_one_line(command: Command, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", num_examples=1, rl_updates=5)
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join([*lines[:40], "{torn\n", *lines[41:]]))
    (run / "results.json").write_text('[{"judge\x1b[31m')
    code, out, errors = command("report", run)
    assert (code, out) == (0, f"{run / 'report.html'}\n")
    [line] = errors.splitlines()
    assert line.startswith(
        f"warning: {run}: Not all of this run could be read: metrics.jsonl:41 left out: not JSON; "
    )
    assert "; results.json left out: " in line and "\x1b" not in line


def test_a_run_without_a_signal_is_told(command: Command, tmp_path: Path) -> None:
    rows = "".join(f'{{"stage": "rl", "update": {i}, "reward/std": 0.0}}\n' for i in (1, 2))
    (tmp_path / "metrics.jsonl").write_text(rows)
    _, _, errors = command("report", tmp_path)
    assert "the rewards did not vary in all of 2" in errors


@pytest.mark.parametrize("name", ["absent", "file", "."])
def test_what_is_no_run_is_one_error(command: Command, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    code, out, errors = command("report", tmp_path / name)
    assert (code, out) == (3, "")
    assert errors.startswith(f"error: {tmp_path / name}: ") and errors.count("\n") == 1
    assert not list(tmp_path.glob("*.html"))


def test_the_command_on_a_page_takes_the_settings_of_its_run(command: Command, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(dump(replace(r1_reward.tiny(), seed=7)))
    keep_machine(tmp_path, "r1_reward")
    found = re.search(r'<pre class="command"[^>]*>(.*?)</pre>', write_report(tmp_path).read_text())
    assert found is not None
    words = shlex.split(unescape(found.group(1)))
    assert words[:3] == ["stablereward", "train", "r1_reward"]
    at = {"config.yaml": tmp_path / "config.yaml"}
    code, out, _ = command(*(at.get(word, word) for word in words[1:]), "--dry-run")
    assert code == 0 and "seed: 7 " in out and f"output: runs/{tmp_path.name}-again\n" in out
