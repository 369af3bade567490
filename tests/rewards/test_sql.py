"""Queries on real sqlite: they read, in time and bounds, or fail by name."""

import sqlite3
from pathlib import Path

import pytest

from stablereward.errors import DataError
from stablereward.rewards.sql import Database, execution_score, same_rows
from stablereward.types import Failure

SCRIPT = "CREATE TABLE t (a INTEGER, b TEXT); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (2, 'y');"
FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


def reason(outcome: object) -> str:
    return outcome.reason if isinstance(outcome, Failure) else "none"


def test_rows_and_scores_by_hand() -> None:
    shop = Database.made(SCRIPT)
    assert shop.run("SELECT a, b FROM t WHERE a = 1") == ((1, "x"),)
    scores = {
        "SELECT a FROM t": 1.0,
        "SELECT count(*) FROM t WHERE a = 9": 1.0,
        "SELECT a FROM t WHERE a = 9": 0.5,
        "SELECT max(a) FROM t WHERE a = 9": 0.5,
        "SELECT c FROM t": 0.0,
        "": 0.5,
    }
    assert {query: execution_score(shop.run(query)) for query in scores} == scores


def test_order_matters_where_it_is_said_to() -> None:
    rows = Database.made(SCRIPT).run("SELECT a FROM t ORDER BY a")
    assert not isinstance(rows, Failure)
    assert same_rows(rows[::-1], rows) and not same_rows(rows[::-1], rows, ordered=True)
    assert same_rows(rows, rows, ordered=True)
    assert not same_rows(rows[:2], rows) and not same_rows(Failure(reason="x"), rows)


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM t",
        "DROP TABLE t",
        "INSERT INTO t VALUES (3, 'z')",
        "ATTACH DATABASE 'other.db' AS other",
        "PRAGMA writable_schema = 1",
        "SELECT load_extension('x')",
        "SELECT a FROM t; DELETE FROM t",
        "SELECT 'a\0b",
        "SELECT zeroblob(2000000)",
        "SELECT 1 --" + "x" * 200_000,
    ],
)
def test_what_does_not_read_is_refused_and_changes_nothing(query: str, tmp_path: Path) -> None:
    shop = Database.made(SCRIPT)
    assert reason(shop.run(query)) == "query_failed"
    assert shop.run("SELECT count(*) FROM t") == ((3,),)


def test_time_and_rows_are_bounded() -> None:
    shop = Database(sqlite3.connect(":memory:"), seconds=0.05, max_rows=10)
    assert reason(shop.run(FOREVER)) == "query_timeout"
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {}) SELECT i FROM n"
    assert reason(shop.run(many.format(11))) == "query_too_large"
    assert len(shop.run(many.format(10))) == 10  # type: ignore[arg-type]


def test_files_are_read_only(tmp_path: Path) -> None:
    path = tmp_path / "shop.sqlite"
    made = sqlite3.connect(path)
    made.executescript(SCRIPT)
    made.close()
    assert Database.open(path).run("SELECT count(*) FROM t") == ((3,),)
    for wrong in (tmp_path / "none.sqlite", tmp_path / "text.sqlite"):
        (tmp_path / "text.sqlite").write_text("no database")
        with pytest.raises(DataError, match="cannot be read as a sqlite database"):
            Database.open(wrong)
    assert not (tmp_path / "none.sqlite").exists()
