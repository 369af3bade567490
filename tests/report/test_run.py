import json
import shutil
from pathlib import Path

import pytest

from stablereward.errors import DataError
from stablereward.report.quantities import is_number
from stablereward.report.run import GROUPS_PER_UPDATE, MAX_UPDATES, Run, read_run, spread

from .recording import EVENTS


def test_a_whole_run_is_read(run_folder: Path):
    run = read_run(run_folder)
    assert run.name == "toy-judge"
    assert run.stages == ["cold_start", "rl", "evaluation"]
    assert len(run.updates) == 240 + 160
    assert [event["event"] for event in run.events] == [
        "gradient_not_finite",
        *(event["event"] for event in EVENTS),
        "failures",
        "stage",
        "stage",
        "stage",
    ]
    assert [len(one) for one in (run.results, run.examples, run.categories)] == [7, 60, 2]
    assert run.notices == []


def test_rollouts_are_spread_over_the_run(run_folder: Path):
    updates = [group.update for group in read_run(run_folder).groups]
    assert updates == sorted(updates)
    assert (updates[0], updates[-1]) == (1, 157)
    assert len(set(updates)) == MAX_UPDATES
    assert len(updates) == MAX_UPDATES * GROUPS_PER_UPDATE


ABSENT = "is not in the folder"


def unread(run: Run) -> list[str]:
    """The notices about what is there."""
    return [notice for notice in run.notices if not notice.endswith(ABSENT)]


def test_a_torn_last_line_is_named(tmp_path: Path):
    row = json.dumps({"stage": "rl", "update": 1, "loss": 1.0})
    (tmp_path / "metrics.jsonl").write_text(f"{row}\n{row[:-9]}")
    run = read_run(tmp_path)
    assert len(run.updates) == 1
    assert unread(run) == ["metrics.jsonl:2 left out: cut off in the middle (is the run still writing?)"]


@pytest.mark.parametrize("line", ["{", "[1]", "\x00", "[" * 100_000])
def test_an_unreadable_line_in_the_middle_is_named(tmp_path: Path, line: str):
    (tmp_path / "metrics.jsonl").write_text(f'{{"update": 1}}\n{line}\n{{"update": 2}}\n')
    run = read_run(tmp_path)
    assert [row["update"] for row in run.updates] == [1, 2]
    assert len(unread(run)) == 1
    assert unread(run)[0].startswith("metrics.jsonl:2 left out: not ")


@pytest.mark.parametrize(
    ("name", "content", "notice"),
    [
        ("results.json", "{", "results.json left out: "),
        ("results.json", '[{"votes": 1}]', "results.json left out: 0.judge: Field required"),
        (
            "results.json",
            '[{"judge": "a", "accuracy": NaN}]',
            "results.json left out: 0.accuracy: Input should",
        ),
        ("results.json", "", "results.json left out: "),
        ("machine.json", "{}", "machine.json left out: "),
        ("metrics.jsonl", '{"stage": "rl", "loss": 1}\n', "metrics.jsonl:1 left out: neither an event nor"),
        ("metrics.jsonl", '{"update": true}\n', "metrics.jsonl:1 left out: neither"),
        ("categories.json", '{"a": 1}', "categories.json left out: a: "),
        ("examples.jsonl", '{"responses": 5}\n', "examples.jsonl:1 left out: responses: "),
    ],
)
def test_a_malformed_piece_becomes_a_notice(tmp_path: Path, name: str, content: str, notice: str):
    (tmp_path / "config.yaml").write_text("seed: 0\n")
    (tmp_path / name).write_text(content)
    run = read_run(tmp_path)
    assert len(unread(run)) == 1
    assert unread(run)[0].startswith(notice)
    assert "\n" not in unread(run)[0]
    assert run.config == "seed: 0\n"


def test_a_malformed_group_becomes_a_notice(tmp_path: Path):
    (tmp_path / "rollouts").mkdir()
    rows = '{"update": 1, "completions": 3}\n{"update": 2}\n{"question": "which update?"}\n'
    (tmp_path / "rollouts" / "0.jsonl").write_text(rows)
    run = read_run(tmp_path)
    assert [group.update for group in run.groups] == [2]
    assert unread(run)[0] == "rollouts/0.jsonl:3 left out: its update has no number"
    assert unread(run)[1].startswith("rollouts/0.jsonl:1 left out: completions: ")


@pytest.mark.parametrize("piece", ["config.yaml", "metrics.jsonl", "results.json", "examples.jsonl"])
def test_each_piece_alone_is_a_run(run_folder: Path, tmp_path: Path, piece: str):
    shutil.copy(run_folder / piece, tmp_path / piece)
    assert unread(read_run(tmp_path)) == []


def test_no_run_is_an_error_of_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("")
    for folder, words in (
        (tmp_path / "absent", "No such file"),
        (tmp_path / "file", "Not a directory"),
        (tmp_path, "holds no run"),
    ):
        with pytest.raises(DataError, match=words) as caught:
            read_run(folder)
        assert str(caught.value).startswith(f"{folder}: ")
        assert "\n" not in str(caught.value)


def test_an_event_without_a_place_has_that_of_the_update_before(tmp_path: Path):
    rows = [{"event": "a"}, {"stage": "rl", "update": 3}, {"event": "b"}, {"event": "c", "update": 9}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert read_run(tmp_path).events == [
        {"event": "a"},
        {"event": "b", "stage": "rl", "update": 3},
        {"event": "c", "stage": "rl", "update": 9},
    ]


def test_of_an_update_the_groups_that_tell_something_come_first(tmp_path: Path):
    (tmp_path / "rollouts").mkdir()
    plain = [{"update": 1, "question": f"plain {i}", "completions": [{"text": "x"}]} for i in range(3)]
    failed = {"update": 1, "question": "failed", "completions": [{"failure": "no_verdict"}]}
    (tmp_path / "rollouts" / "0.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in [*plain, failed])
    )
    assert [group.question for group in read_run(tmp_path).groups] == ["plain 0", "failed"]


def test_what_is_a_number():
    assert is_number(0) and is_number(-2.5)
    assert not any(map(is_number, (True, "1", None, float("nan"), float("inf"), 10**400)))


def test_spread_keeps_both_ends():
    assert spread(list(range(100)), 4) == [0, 33, 66, 99]
    assert spread([1, 2], 4) == [1, 2]
