"""What a rule sees of a judged file."""

import json
from pathlib import Path

import pytest

from stablereward.errors import DataError
from stablereward.evaluation.records import (
    EQUAL,
    TIE,
    UNREAD,
    is_own,
    is_tie,
    judged_rows,
    pair,
    rewarded,
    shared_out,
)
from stablereward.evaluation.rows import append
from stablereward.judges.voting import vote
from stablereward.types import Failure, Judgement, Row


def test_a_pair_of_stored_verdicts() -> None:
    row = pair([1, TIE], id="x", best=1, category="c")
    assert (row.id, row.category, row.best) == ("x", "c", 1)
    assert [one.choice for one in row.votes] == [1, None]
    assert row.votes[0].judgements[0].order == (0, 1)
    assert row.votes[1].failures == (Failure(reason=TIE),)
    assert len(pair([0], id="", best=0).votes) == 1


def test_a_tie_is_not_an_unread_text() -> None:
    tied = vote([Judgement(choice=0), Judgement(choice=1)], 2)
    declared, unread = pair([TIE, UNREAD], id="", best=0).votes
    [level] = pair([EQUAL], id="", best=0).votes
    assert [is_tie(one) for one in (tied, declared, level, unread)] == [True, True, True, False]
    assert not is_tie(vote([Judgement(choice=0)], 2))


def test_the_higher_reward_wins(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("".join(json.dumps({"rewards": r}) + "\n" for r in ([2, 1], [0.5, 1], [1, 1])))
    assert rewarded(path) == [0, 1, EQUAL]
    for row in ('{"rewards": [1]}', '{"rewards": [1, NaN]}', '{"rewards": [1, "high"]}'):
        path.write_text(row + "\n")
        with pytest.raises(DataError, match=r"r.jsonl:1: field 'rewards.*1'"):
            rewarded(path)


def test_our_rows_in_the_words_of_a_benchmark(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    tied = vote([Judgement(choice=0), Judgement(choice=1)], 2)
    append(
        [
            Row(id="1", category="c", best=1, votes=(vote([Judgement(choice=0)], 2), tied)),
            Row(id="2", category="c", best=0, votes=(vote([Failure(reason="no_answer")], 2),)),
        ],
        path,
    )
    assert is_own(path)
    records = judged_rows(path, ("A", "B"), tie="same")
    assert [(r.id, r.label, r.verdict) for r in records] == [
        ("1", "B", "A"),
        ("1", "B", "same"),
        ("2", "A", None),
    ]


def test_a_share_becomes_rows_and_at_most_one_tie() -> None:
    rows = shared_out(2.5 / 4, 4, id="x", category="c", where="file")
    assert [row.votes[0].choice for row in rows] == [0, 0, None, 1]
    assert [(row.id, row.best, row.category) for row in rows[:2]] == [("x/0", 0, "c"), ("x/1", 0, "c")]
    assert len(shared_out(1, 4, id="x", category="c", where="file")) == 4
    for value in (0.6, -0.25, 1.25, True, None, "0.5", float("nan"), float("inf"), 10**400):
        with pytest.raises(DataError, match=r"file: field 'c': .* is no share of 4 pairs"):
            shared_out(value, 4, id="x", category="c", where="file")
