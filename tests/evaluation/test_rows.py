"""Rows in a file."""

from dataclasses import replace
from pathlib import Path

import pytest

from stablereward.errors import DataError, StorageError
from stablereward.evaluation.rows import append, read
from stablereward.judges.voting import vote
from stablereward.types import Failure, Judgement, Row

ROW = Row(
    id="é",
    category="c",
    best=1,
    votes=(
        vote([Judgement(choice=1, text="<think>…</think>", num_tokens=7), Failure(reason="no answer")], 2),
        vote([Judgement(choice=0, order=(1, 0))], 2),
    ),
)


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append([ROW], path)
    append([ROW, ROW], path)
    assert read(path) == [ROW, ROW, ROW]


def test_rows_keep_confidence_and_those_of_before_have_none(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    sure = Judgement(choice=1, confidence=0.75)
    append([replace(ROW, votes=(vote([sure], 2),))], path)
    assert read(path)[0].votes[0].judgements == (sure,)
    path.write_text(path.read_text().replace(',"confidence":0.75', ""))
    assert read(path)[0].votes[0].judgements == (replace(sure, confidence=None),)


def test_rows_keep_their_cluster_and_those_of_before_have_none(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append([replace(ROW, cluster="q1")], path)
    assert read(path) == [replace(ROW, cluster="q1")]
    path.write_text(path.read_text().replace(',"cluster":"q1"', ""))
    assert read(path) == [ROW] and ROW.cluster == ""


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append([ROW], path)
    with path.open("a") as file:
        file.write('{"id": "half')
    with pytest.raises(DataError, match=r"rows\.jsonl:2: not a row"):
        read(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read(tmp_path / "absent.jsonl")
    with pytest.raises(StorageError, match="cannot be written"):
        append([ROW], tmp_path / "absent" / "rows.jsonl")
