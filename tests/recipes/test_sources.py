"""Where preferences come from: what cannot be trained or measured on is refused before anything starts."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from stablereward.data.annotate import Annotation, annotate
from stablereward.data.prompts import r1_reward
from stablereward.errors import ConfigError, DataError
from stablereward.recipes.rows import Kind
from stablereward.recipes.sources import Data, Preferences, Toy, load, toy_annotator
from stablereward.types import Preference


def write(path: Path, num: int, **more: object) -> Path:
    rows = [{"id": str(n), "question": f"{n}?", "responses": ["a", "b"], "best": n % 2} for n in range(num)]
    rows += [{"question": "?", "responses": ["a", "b"], **more}] if more else []
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def ids(preferences: list[Preference]) -> list[str]:
    return [preference.id for preference in preferences]


def test_without_a_source_it_says_which_setting_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.train has no value; .*--set data\.train=FILE"):
        load(Data(), tmp_path, 0)
    with pytest.raises(DataError, match="cannot be read"):
        load(Data(train=tmp_path / "absent.jsonl"), tmp_path, 0)


FAULTY = {
    "unreadable": ('{"question": "?"', r"not JSON .*"),
    "unlabelled": ('{"question": "?", "responses": ["a", "b"]}', "no label says which response is best"),
    "tied": (
        '{"question": "?", "responses": ["a", "b", "c"], "ranks": [0, 1, 0]}',
        "two or more responses are best",
    ),
}


@pytest.mark.parametrize("kind", FAULTY)
def test_a_row_that_cannot_be_trained_on_is_named_or_left_out(
    kind: Kind, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row, reason = FAULTY[kind]
    good, bad = write(tmp_path / "good.jsonl", 10), write(tmp_path / "bad.jsonl", 10)
    bad.write_text(f"{row}\n" + bad.read_text() + f"\n{row}\n{row}\n{row}\n")
    also = r" \(and 3 more of 14 rows: \S+bad\.jsonl:13, \S+:14, \S+:15\); "
    for data in (Data(train=bad), Data(train=good, held_out=bad)):
        with pytest.raises(DataError, match=rf"bad\.jsonl:1: {reason}{also}.*--set data.skip=\[{kind}\]$"):
            load(data, tmp_path, 0)
        with pytest.raises(DataError, match=rf"bad\.jsonl:1: .*data.skip=\[too_long,{kind}\]$"):
            load(replace(data, skip=("too_long",)), tmp_path, 0)
        assert capsys.readouterr().err == ""
        found = load(replace(data, skip=(kind,)), tmp_path, 0)
        assert len(found.train) + len(found.held_out) == (10 if data.held_out is None else 20)
        assert [(fault.kind, fault.where) for fault in found.left_out] == [
            (kind, f"{bad}:{line}") for line in (1, 13, 14, 15)
        ]
        said = capsys.readouterr().err
        assert said == (
            f"  left out as {kind}, as data.skip says: 4 of 14 rows ({bad}:1, {bad}:13, {bad}:14, …)\n"
        )
    unchanged = load(Data(train=good), tmp_path, 0)
    assert load(Data(train=bad, skip=(kind,)), tmp_path, 0).train == unchanged.train


def test_a_file_of_which_nothing_is_left_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text("[1]\n{}\n")
    data = Data(train=bad, held_out=write(tmp_path / "good.jsonl", 2), skip=("unreadable",))
    with pytest.raises(DataError, match=r"bad\.jsonl: no preferences in it; all 2 rows are left out"):
        load(data, tmp_path, 0)


def test_a_damaged_toy_world_is_not_trained_on(tmp_path: Path) -> None:
    data = Data(toy=Toy(num_train=6, num_held_out=4))
    load(data, tmp_path, 0)
    train = tmp_path / "train.jsonl"
    train.write_text("".join(train.read_text().splitlines(keepends=True)[:5]))
    with pytest.raises(DataError, match=r"train\.jsonl: not the 6 preferences of the toy world; remove"):
        load(data, tmp_path, 0)


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    empty, one, two = (write(tmp_path / f"{n}.jsonl", n) for n in range(3))
    with pytest.raises(
        DataError, match=r"1\.jsonl: 1 preference.*give at least 2, or a file for data\.held_out"
    ):
        load(Data(train=one), tmp_path, 0)
    for data in (Data(train=empty), Data(train=one, held_out=empty), Data(train=empty, held_out=one)):
        with pytest.raises(DataError, match=r"0\.jsonl: no preferences in it"):
            load(data, tmp_path, 0)
    assert [len(part) for part in parts(load(Data(train=two), tmp_path, 0))] == [1, 1]
    assert [len(part) for part in parts(load(Data(train=one, held_out=one), tmp_path, 0))] == [1, 1]


def parts(found: Preferences) -> tuple[list[Preference], list[Preference]]:
    return found.train, found.held_out


@pytest.mark.parametrize(("num", "wanted", "apart"), [(100, 500, 20), (100, 7, 7), (4, 500, 1), (4, 0, 1)])
def test_what_is_held_out_is_apart_and_the_seed_decides_it(
    num: int, wanted: int, apart: int, tmp_path: Path
) -> None:
    data = Data(train=write(tmp_path / "rows.jsonl", num), num_held_out=wanted)
    train, held_out = parts(load(data, tmp_path, 0))
    assert len(held_out) == apart
    assert sorted(ids(train) + ids(held_out), key=int) == [str(n) for n in range(num)]
    assert parts(load(data, tmp_path, 0)) == (train, held_out)
    assert ids(load(data, tmp_path, 1).train) != ids(train)


def test_a_held_out_file_leaves_the_training_file_whole(tmp_path: Path) -> None:
    data = Data(train=write(tmp_path / "a.jsonl", 5), held_out=write(tmp_path / "b.jsonl", 3))
    train, held_out = parts(load(data, tmp_path, 0))
    assert (ids(train), ids(held_out)) == (["0", "1", "2", "3", "4"], ["0", "1", "2"])


def test_images_are_found_from_their_root(published: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved.jsonl"
    moved.write_bytes(published.read_bytes())
    with pytest.raises(DataError, match=r"moved\.jsonl:1: image .* does not exist; .*images_root"):
        load(Data(train=moved), tmp_path, 0)
    found = load(Data(train=moved, images_root=published.parent), tmp_path, 0)
    images = [image for row in (*found.train, *found.held_out) for image in row.images]
    assert sorted(map(str, images)) == sorted(str(published.parent / f"{n}.png") for n in range(12))


def test_the_format_of_the_files_can_be_named(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    row = {"prompt": "q", "chosen": "a", "rejected": "b", "question": "r", "responses": ["x", "y"]}
    file.write_text((json.dumps(row) + "\n") * 4)
    with pytest.raises(DataError, match="best"):
        load(Data(train=file), tmp_path, seed=0)
    for data in (
        Data(train=file, format="chosen_rejected"),
        Data(train=file, held_out=file, format="chosen_rejected"),
    ):
        loaded = load(data, tmp_path, seed=0)
        assert {one.responses for one in (*loaded.train, *loaded.held_out)} == {("a", "b")}


def test_the_toy_world_is_written_once_and_its_annotator_knows_it(tmp_path: Path) -> None:
    toy = Toy(num_train=24, num_held_out=12)
    train, held_out = parts(load(Data(toy=toy), tmp_path / "data", 3))
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*.*")}
    again = load(Data(toy=toy), tmp_path / "data", 3)
    assert parts(again) == (train, held_out) and (len(train), len(held_out)) == (24, 12)
    assert written == {path: path.stat().st_mtime_ns for path in (tmp_path / "data").rglob("*.*")}
    assert not {p.extra["listing"] for p in train} & {p.extra["listing"] for p in held_out}

    sober = replace(toy, habit=0.0, mistake=0.0)
    prompts = [r1_reward(preference) for preference in train]
    outcomes = asyncio.run(annotate(prompts, toy_annotator(sober, 3)))
    assert all(isinstance(outcome, Annotation) and outcome.tries == 1 for outcome in outcomes)
    habitual = asyncio.run(annotate(prompts, toy_annotator(replace(toy, habit=1.0), 3)))
    # The longer response is the better one in half of the pairs.
    assert sum(isinstance(outcome, Annotation) for outcome in habitual) == 12


@pytest.mark.parametrize("name", ["train", "held_out"])
def test_files_beside_the_toy_world_are_not_ignored(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"{name} and toy are both set.* add --set data\.toy=null"):
        Data(toy=Toy(), **{name: tmp_path / "mine.jsonl"})
