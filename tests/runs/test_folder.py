import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stablereward.errors import ConfigError, DataError, StorageError
from stablereward.runs.files import write_atomic
from stablereward.runs.folder import RunFolder
from tests.training.tmpfs import small_disk


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def filled(path: Path) -> RunFolder:
    """Two stages of three updates, with an event between them."""
    run = RunFolder(path)
    run.open("seed: 0\n", resume=False)
    for stage in ("cold_start", "rl"):
        for update in (1, 2, 3):
            run.record({"stage": stage, "update": update, "quantities": {}})
            run.log(stage, update, {"loss": update / 2}, seconds=0.5, tokens=100)
        run.stage_ended(stage, 1.5)
        run.event("ended", stage=stage)
    return run


def test_an_update_is_a_line_without_a_clock(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.log("rl", 1, {"loss": 0.25, "reward/mean": 1.5}, seconds=0.5, tokens=100)
    run.event("stopped", stage="rl", update=2, reason="β is wrong")
    assert (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8") == (
        '{"stage": "rl", "update": 1, "loss": 0.25, "reward/mean": 1.5}\n'
        '{"event": "stopped", "stage": "rl", "update": 2, "reason": "β is wrong"}\n'
    )
    assert lines(tmp_path / "run" / "timings.jsonl") == [
        {"stage": "rl", "update": 1, "seconds": 0.5, "tokens_per_second": 200.0}
    ]


def test_a_folder_is_opened_once_or_resumed_with_the_same_settings(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "a" / "run")
    run.open("seed: 0\n", resume=True)
    assert (tmp_path / "a" / "run" / "config.yaml").read_text() == "seed: 0\n"
    run.open("seed: 0\n", resume=True)
    with pytest.raises(ConfigError, match="a run is already here; add --resume"):
        run.open("seed: 0\n", resume=False)
    with pytest.raises(ConfigError, match=r"other settings: seed 0 there, 1 here\. Give the same"):
        run.open("seed: 1\n", resume=True)
    assert (tmp_path / "a" / "run" / "config.yaml").read_text() == "seed: 0\n"


def test_settings_that_differ_are_named_and_the_output_is_none_of_them(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.open("output: a\nrl:\n  num_updates: 3\n  betas: [0.5, 0.9]\nold: 1\n", resume=False)
    run.open("output: b\nrl:\n  num_updates: 3\n  betas: [0.5, 0.9]\nold: 1\n", resume=True)
    assert (tmp_path / "config.yaml").read_text().startswith("output: b\n")
    with pytest.raises(ConfigError) as refused:
        run.open("output: c\nrl:\n  num_updates: 4\n  betas: [0.5, 0.8]\nnew: x\n", resume=True)
    assert str(refused.value) == (
        f"{tmp_path}: the run was started with other settings: rl.num_updates 3 there, 4 here; rl.betas "
        "[0.5, 0.9] there, [0.5, 0.8] here; new not set there, 'x' here; old 1 there, not set here. Give the "
        "same, or choose another output"
    )
    many = "".join(f"s{n}: 1\n" for n in range(9))
    with pytest.raises(ConfigError, match=r"s4 not set there, 1 here; and 7 more\. "):
        run.open(many, resume=True)
    (tmp_path / "config.yaml").write_bytes(b"\xff: [")
    with pytest.raises(ConfigError, match=r"config\.yaml:1: not valid YAML"):
        run.open(many, resume=True)


def fails(run: RunFolder, *made: str, resume: bool = False, error: type[BaseException] = ValueError) -> None:
    with pytest.raises(error), run.running("seed: 0\n", resume=resume):
        for name in made:
            path = run.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("" if "empty" in name else "x\n")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_start_that_fails_before_any_work_leaves_nothing(
    error: type[BaseException], tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "runs" / "mine")
    fails(run, "timings.jsonl", "data/train.jsonl", "annotator/empty.jsonl", ".partial-cold/y", error=error)
    assert not list(tmp_path.iterdir())


def test_a_failed_start_leaves_what_was_there_before(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.jsonl").write_text("1")
    (tmp_path / "notes").write_text("2")
    fails(RunFolder(tmp_path), "data/train.jsonl", "data/images/1.png", "annotator/empty.jsonl")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["data", "mine.jsonl", "notes"]


def test_work_in_a_folder_that_was_there_before_is_kept(tmp_path: Path) -> None:
    (tmp_path / "annotator").mkdir()
    fails(RunFolder(tmp_path), "annotator/completions.jsonl")
    assert (tmp_path / "annotator" / "completions.jsonl").exists() and (tmp_path / "config.yaml").exists()


@pytest.mark.parametrize("work", ["difficulty.jsonl", "annotator/completions.jsonl", "metrics.jsonl"])
def test_work_is_kept_whatever_fails(work: str, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    fails(run, "timings.jsonl", work)
    assert (run.path / work).exists() and (run.path / "config.yaml").exists()
    fails(run, resume=True)
    assert (run.path / work).exists() and not (run.path / ".lock").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("\ud800", "not JSON"),
        ("[1]", "not an object of JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"stage": "rl", "update": "x"}', "an update is no number"),
    ],
)
@pytest.mark.parametrize("name", ["metrics.jsonl", "distributions.jsonl", "timings.jsonl"])
def test_a_damaged_line_is_named(name: str, line: str, message: str, tmp_path: Path) -> None:
    run = filled(tmp_path)
    rows = (tmp_path / name).read_text().splitlines(keepends=True)
    damaged = "".join([rows[0], line + "\n", *rows[1:]]).encode("utf-8", "surrogatepass")
    (tmp_path / name).write_bytes(damaged)
    with pytest.raises(DataError, match=rf"{name}:2: {message}.*; remove the line and resume"):
        run.rewind("rl", 2)
    assert (tmp_path / name).read_bytes() == damaged


def test_the_last_update_of_a_stage_is_known(tmp_path: Path) -> None:
    assert RunFolder(tmp_path).logged("rl") == 0
    run = filled(tmp_path)
    run.event("stopped", stage="rl", update=9)
    assert (run.logged("rl"), run.logged("cold_start"), run.logged("other")) == (3, 3, 0)


def test_resuming_clears_what_was_half_written(tmp_path: Path) -> None:
    run = filled(tmp_path)
    for name in ("checkpoints/.partial-rl-000002", "media"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / ".partial-file").write_text("half")
    run.open("seed: 0\n", resume=True)
    assert not list(tmp_path.rglob(".partial-*"))
    assert len(lines(tmp_path / "metrics.jsonl")) == 8


@pytest.mark.parametrize(
    ("stage", "update", "kept"),
    [("rl", 3, 7), ("rl", 2, 6), ("rl", 0, 4), ("cold_start", 2, 2), ("cold_start", 0, 0), ("new", 0, 8)],
)
def test_rewinding_forgets_what_came_later(stage: str, update: int, kept: int, tmp_path: Path) -> None:
    run = filled(tmp_path)
    before = lines(tmp_path / "metrics.jsonl")
    run.rewind(stage, update)
    assert lines(tmp_path / "metrics.jsonl") == before[:kept]
    left = [(row["stage"], row["update"]) for row in before[:kept] if "update" in row]
    assert [(row["stage"], row["update"]) for row in lines(tmp_path / "distributions.jsonl")] == left


@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_a_rewound_run_ends_with_the_same_bytes(start: int, tmp_path: Path) -> None:
    run = filled(tmp_path)
    expected = (tmp_path / "metrics.jsonl").read_bytes()
    run.rewind("rl", start)
    for update in range(start + 1, 4):
        run.log("rl", update, {"loss": update / 2}, seconds=99.0)
    run.event("ended", stage="rl")
    assert (tmp_path / "metrics.jsonl").read_bytes() == expected


@pytest.mark.parametrize("name", ["metrics.jsonl", "timings.jsonl"])
def test_a_line_torn_by_a_kill_is_forgotten_wherever_it_is_cut(name: str, tmp_path: Path) -> None:
    run = filled(tmp_path)
    for other in (tmp_path / "metrics.jsonl", tmp_path / "timings.jsonl"):
        other.write_bytes(b"".join(other.read_bytes().splitlines(keepends=True)[:4]))
    whole = (tmp_path / name).read_bytes()
    torn = '{"stage": "rl", "update": 1, "reason": "β"}'.encode()
    for cut in range(1, len(torn) + 1):
        (tmp_path / name).write_bytes(whole + torn[:cut])
        run.open("seed: 0\n", resume=True)
        run.rewind("rl", 0)
        assert (tmp_path / name).read_bytes() == whole


def test_a_torn_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    run = filled(tmp_path)
    before = lines(tmp_path / "metrics.jsonl")
    for name in ("metrics.jsonl", "timings.jsonl"):
        with (tmp_path / name).open("a") as file:
            file.write('{"event": "sta')
    run.open("seed: 0\n", resume=True)
    run.event("again")
    run.stage_ended("data", 1.0)
    assert lines(tmp_path / "metrics.jsonl") == [*before, {"event": "again"}]
    assert lines(tmp_path / "timings.jsonl")[-1]["stage"] == "data"
    run.rewind("rl", 0)


def test_rewinding_removes_the_rollouts_of_later_updates(tmp_path: Path) -> None:
    run = filled(tmp_path)
    (tmp_path / "rollouts").mkdir()
    names = ("rl-000001.jsonl", "rl-000002.jsonl", "rl-000010.jsonl", "cold_start-000009.jsonl")
    for name in names:
        (tmp_path / "rollouts" / name).write_text("")
    run.rewind("rl", 2)
    left = sorted(path.name for path in (tmp_path / "rollouts").iterdir())
    assert left == ["cold_start-000009.jsonl", "rl-000001.jsonl", "rl-000002.jsonl"]


def test_rewinding_an_empty_folder_is_nothing(tmp_path: Path) -> None:
    RunFolder(tmp_path).rewind("rl", 0)
    assert list(tmp_path.iterdir()) == []


def test_an_image_is_kept_once(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    red, blue = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    assert run.keep_image(red) == run.keep_image(red.copy()) != run.keep_image(blue)
    assert run.keep_image(Image.new("RGB", (4, 16), "red")) != run.keep_image(red)
    assert len(list((tmp_path / "media").iterdir())) == 3


def test_a_full_device_is_a_storage_error(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no device that is always full")
    run = RunFolder(tmp_path)
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(StorageError, match=r"metrics\.jsonl: .*No space left on device; free some space"):
        run.event("begun")


def test_a_full_disk_leaves_what_was_there(tmp_path: Path) -> None:
    with small_disk(tmp_path / "run", 16) as run:
        write_atomic(run / "results.json", "old")
        with pytest.raises(StorageError, match="free some space, then resume the run") as full:
            write_atomic(run / "results.json", "new" * 100_000)
        assert "\n" not in str(full.value)
        assert (run / "results.json").read_text() == "old"
        with pytest.raises(StorageError, match="media/"):
            RunFolder(run).keep_image(Image.effect_noise((200, 200), 90).convert("RGB"))
        assert not list((run / "media").glob("[!.]*"))


def test_a_folder_that_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(StorageError, match="check the folder's permissions"):
        RunFolder(tmp_path / "run").open("seed: 0\n", resume=False)
