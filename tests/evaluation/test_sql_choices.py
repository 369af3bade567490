"""Choosing a query among candidates, by hand."""

import pytest

from stablereward.evaluation.sql_choices import choices, in_order
from stablereward.rewards.sql import Database
from stablereward.rewards.sql_tasks import Task, tried

SHOP = Database.made("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2);")
RIGHT = "SELECT a FROM t"
WRITTEN = (RIGHT, "SELECT a FROM t WHERE a > 1", "SELECT a FROM t WHERE a > 9", "SELECT b FROM t", RIGHT)
TASK = Task("all", "t(a)", SHOP, "SELECT a FROM t ORDER BY a DESC", WRITTEN)


def test_choices_by_hand() -> None:
    [one] = tried([TASK])
    scores = dict(zip([("all", text) for text in WRITTEN[:4]], (0.2, 0.6, 0.9, 0.1), strict=True))
    zeros = dict.fromkeys(scores, 0.0)
    chosen = choices(one, 5, scores, zeros)
    assert chosen == {"orm": 1, "orm_alone": 2, "released": 0, "first": 0, "majority": 0}
    told = in_order([one], scores)
    assert told.value == pytest.approx(1 / 3) and told.n == 3
