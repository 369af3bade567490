"""When a stage whose rewards do not vary is said to have no signal."""

import json
from pathlib import Path
from typing import Any

import pytest

from stablereward.runs.folder import RunFolder
from stablereward.training.protection import Guard, Protection
from stablereward.training.signal import FLAT_COLLECTIONS, Signal

FLAT, VARIED = {"advantages/flat": 1.0}, {"advantages/flat": 0.0}


def guard(path: Path, protection: Protection | None) -> Guard:
    return Guard(RunFolder(path), "rl", protection)


def events(path: Path) -> list[dict[str, Any]]:
    file = path / "metrics.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def heard(path: Path, courses: str, whole: int = 1, stage: str = "rl") -> list[dict[str, Any]]:
    """The events of a stage whose collections were flat (-) or varied (+), `whole` updates each."""
    watch = Signal(RunFolder(path), stage, whole)
    updates = [FLAT if c == "-" else VARIED for c in courses for _ in range(whole)]
    for update, metrics in enumerate(updates, 1):
        watch.watch(update, metrics)
    watch.ended(len(updates))
    return events(path)


def no_signal(update: int, collections: int) -> dict[str, Any]:
    return {"event": "no_signal", "stage": "rl", "update": update, "collections": collections}


@pytest.mark.parametrize(
    ("courses", "expected", "lines"),
    [
        ("+-+-+", [], 0),
        ("-" * (FLAT_COLLECTIONS - 1) + "+", [], 0),
        ("+" + "-" * (FLAT_COLLECTIONS - 1), [], 0),
        # Said once, and again at the end where it ends like this.
        ("+" + "-" * FLAT_COLLECTIONS + "+", [no_signal(FLAT_COLLECTIONS + 1, FLAT_COLLECTIONS)], 1),
        ("+" + "-" * (FLAT_COLLECTIONS + 9), [no_signal(FLAT_COLLECTIONS + 1, FLAT_COLLECTIONS)], 2),
        (("-" * FLAT_COLLECTIONS + "+") * 2, [no_signal(FLAT_COLLECTIONS, FLAT_COLLECTIONS)], 1),
        # A short stage that never had a signal.
        ("---", [no_signal(3, 3)], 1),
        ("", [], 0),
    ],
)
def test_rewards_that_do_not_vary_are_said(
    courses: str,
    expected: list[dict[str, Any]],
    lines: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert heard(tmp_path, courses) == expected
    said = capsys.readouterr().err.splitlines()
    assert len(said) == lines and all("no reward differed" in line and "rollouts/" in line for line in said)


def test_collections_are_counted_and_not_updates(tmp_path: Path) -> None:
    assert heard(tmp_path, "-" * FLAT_COLLECTIONS, whole=4) == [
        no_signal(4 * FLAT_COLLECTIONS - 3, FLAT_COLLECTIONS)
    ]


def test_a_stage_without_rewards_has_none_that_vary(tmp_path: Path) -> None:
    watch = guard(tmp_path, None)
    for update in range(1, 50):
        watch.collapsed(update, {"loss": 1.0})
    watch.signal.ended(49)
    assert events(tmp_path) == []


def test_flat_collections_are_counted_across_a_resume(tmp_path: Path) -> None:
    half = guard(tmp_path, Protection())
    for update in range(1, FLAT_COLLECTIONS):
        half.collapsed(update, FLAT)
    again = guard(tmp_path, Protection())
    again.recall(json.loads(json.dumps(half.notes())))
    again.collapsed(FLAT_COLLECTIONS, FLAT)
    assert events(tmp_path) == [no_signal(FLAT_COLLECTIONS, FLAT_COLLECTIONS)]
    last = guard(tmp_path, Protection())
    last.recall(json.loads(json.dumps(again.notes())))
    last.collapsed(FLAT_COLLECTIONS + 1, FLAT)
    last.signal.ended(FLAT_COLLECTIONS + 1)
    assert len(events(tmp_path)) == 1
