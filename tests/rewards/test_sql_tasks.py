"""Tasks of queries: what ran, what is right, and what a judge is asked of it."""

import pytest

from stablereward.errors import DataError
from stablereward.rewards.sql import Database
from stablereward.rewards.sql_tasks import Task, split, tried
from stablereward.types import Prompt

SHOP = Database.made("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2);")
RIGHT = "SELECT a FROM t"
WRITTEN = (RIGHT, "SELECT a FROM t WHERE a > 1", "SELECT a FROM t WHERE a > 9", "SELECT b FROM t", RIGHT)
TASK = Task("all", "t(a)", SHOP, "SELECT a FROM t ORDER BY a DESC", WRITTEN)


def test_what_runs_and_what_is_right() -> None:
    [one] = tried([TASK])
    assert one.ran == (1.0, 1.0, 0.5, 0.0, 1.0) and one.right == (True, False, False, False, True)
    [strict] = tried([TASK], ordered=True)
    assert not any(strict.right)
    assert tried([TASK._replace(gold="SELECT a FROM t WHERE a > 9")]) == []
    with pytest.raises(DataError, match="gold query"):
        tried([TASK._replace(gold="SELECT b FROM t")])


def test_sides_have_each_text_once_and_only_of_what_ran() -> None:
    [one] = tried([TASK])
    right, wrong = one.sides(lambda task, text: Prompt.user(f"{task.question}: {text}"))
    assert [prompt.text for prompt in right] == [f"all: {RIGHT}"]
    assert [prompt.text for prompt in wrong] == [f"all: {text}" for text in WRITTEN[1:3]]


def test_a_tenth_is_held_out() -> None:
    made = [TASK._replace(question=str(n)) for n in range(20)]
    train, apart = split(made, 0)
    assert len(train) == 18 and len(apart) == 2
    assert sorted(train + apart, key=lambda one: int(one.question)) == made
    assert split(made, 1)[1] != apart and split([], 0) == ([], [])
