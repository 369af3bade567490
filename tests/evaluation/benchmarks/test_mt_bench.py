"""MT-bench: ratings of two turns."""

import json
from pathlib import Path

import pytest

from stablereward.errors import DataError
from stablereward.evaluation.benchmarks.mt_bench import BENCHMARK, kind


def ratings(path: Path, *rows: tuple[int, str, int, float]) -> Path:
    names = ("question_id", "model", "turn", "score")
    path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows))
    return path


def test_scores_by_hand(tmp_path: Path) -> None:
    path = ratings(
        tmp_path / "gpt-4_single.jsonl",
        *((81, "a", 1, 9), (81, "a", 2, 6), (91, "a", 1, 10), (91, "a", 2, -1), (81, "b", 1, 4.5)),
    )
    table = BENCHMARK.score(path)
    # Of both turns together, not the mean of the two means; a rating that was not read is left out.
    assert table.value("a") == pytest.approx(25 / 3)
    assert (table.value("a: first turn"), table.value("a: second turn")) == (9.5, 6.0)
    assert (table.value("b"), table.value("b: second turn")) == (4.5, None)
    assert {figure.name: figure.unread for figure in table.figures if figure.unread} == {
        "a": 1,
        "a: second turn": 1,
    }
    kinds = BENCHMARK.score(path, map="kind")
    assert (kinds.value("a, writing"), kinds.value("a, roleplay")) == (7.5, 10.0)


def test_kinds_of_questions() -> None:
    assert [kind(f"{n} 1", "m") for n in (81, 90, 91, 160)] == [
        "m, writing", "m, writing", "m, roleplay", "m, humanities",
    ]  # fmt: skip
    assert [kind(f"{n} 1", "m") for n in (80, 161)] == ["m", "m"]


def test_ratings_off_the_scale_and_twice_are_said(tmp_path: Path) -> None:
    table = BENCHMARK.score(
        ratings(tmp_path / "x.jsonl", (81, "a", 1, 11), (81, "a", 1, 0), (82, "a", 1, 10))
    )
    assert table.notes == (
        "2 ratings are outside 1 to 10 and count as they are",
        "1 judgements repeat the id of an earlier one, '81 1' first, and count again",
    )


@pytest.mark.parametrize("row", [(81, "a", 3, 5.0), (81, "a", 1, float("inf")), (81, None, 1, 5.0)])
def test_a_bad_rating_is_named(row: tuple[int, str, int, float], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.jsonl:2: field"):
        BENCHMARK.score(ratings(tmp_path / "x.jsonl", (81, "a", 1, 9), row))
