"""Queries that a model wrote, run on sqlite: what they return is what they are judged by.

A query may only read. It is stopped after a time, and what it returns is bounded.
"""

import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Self

from stablereward.errors import DataError
from stablereward.types import Failure

Rows = tuple[tuple[object, ...], ...]
"""What a query returned."""

MAX_QUERY_BYTES = 100_000
MAX_VALUE_BYTES = 1_000_000
_LOOKS = 1000
"""Steps of sqlite's machine between two looks at the clock."""
_READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}


class Database:
    """A database that queries are tried on, one after another in one thread.

    A query runs for at most `seconds` and returns at most `max_rows` rows; a value has at most a megabyte.
    """

    def __init__(
        self, connection: sqlite3.Connection, *, seconds: float = 30.0, max_rows: int = 10_000
    ) -> None:
        """From now on the connection refuses whatever does not read."""
        self.connection, self.seconds, self.max_rows = connection, seconds, max_rows
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
        connection.setlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH, MAX_QUERY_BYTES)
        connection.set_authorizer(_only_reading)

    @classmethod
    def open(cls, path: Path, *, seconds: float = 30.0) -> Self:
        """A file, which is not written to. Raises DataError."""
        try:
            connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1")
        except sqlite3.Error as error:
            raise DataError(f"{path}: cannot be read as a sqlite database: {error}") from error
        return cls(connection, seconds=seconds)

    @classmethod
    def made(cls, script: str, *, seconds: float = 30.0) -> Self:
        """A database in memory, made by statements of ours."""
        connection = sqlite3.connect(":memory:")
        connection.executescript(script)
        return cls(connection, seconds=seconds)

    def run(self, query: str) -> Rows | Failure:
        """What the query returns. Failures: "query_failed", "query_timeout", "query_too_large"."""
        end = time.monotonic() + self.seconds
        self.connection.set_progress_handler(lambda: int(time.monotonic() > end), _LOOKS)
        try:
            rows = self.connection.execute(query).fetchmany(self.max_rows + 1)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            late = time.monotonic() > end
            return Failure(reason="query_timeout" if late else "query_failed", detail=str(error))
        finally:
            self.connection.set_progress_handler(None, 0)
        if len(rows) > self.max_rows:
            return Failure(reason="query_too_large", detail=f"more than {self.max_rows} rows")
        return tuple(map(tuple, rows))


def execution_score(outcome: Rows | Failure) -> float:
    """½ for a query that ran and ½ for one that returned something: 0, ½ or 1.

    Something is a row with a value that is not NULL. https://arxiv.org/abs/2509.01308
    """
    if isinstance(outcome, Failure):
        return 0.0
    return (1 + any(value is not None for row in outcome for value in row)) / 2


def same_rows(found: Rows | Failure, wanted: Rows, *, ordered: bool = False) -> bool:
    """Whether both returned the same rows, each as often; with `ordered` in the same order too."""
    if isinstance(found, Failure):
        return False
    return found == wanted if ordered else Counter(found) == Counter(wanted)


def _only_reading(
    action: int, what: str | None, detail: str | None, schema: str | None, trigger: str | None, /
) -> int:
    return sqlite3.SQLITE_OK if action in _READING else sqlite3.SQLITE_DENY
