"""Questions on a database with the queries that were written to answer them: which ran, which are right."""

import random
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from stablereward.errors import DataError
from stablereward.rewards.sql import Database, Rows, execution_score, same_rows
from stablereward.runs.folder import read_jsonl
from stablereward.types import Failure, Prompt


class Task(NamedTuple):
    """A question on a database, with what was written to answer it and the query that does."""

    question: str
    schema: str
    database: Database
    gold: str
    candidates: tuple[str, ...]


Asked = Callable[[Task, str], Prompt]
"""What a judge is asked of a candidate."""


class Tried(NamedTuple):
    """A task with what each candidate returned, how far it got (0, ½, 1), and whether it is right."""

    task: Task
    outcomes: tuple[Rows | Failure, ...]
    ran: tuple[float, ...]
    right: tuple[bool, ...]

    def sides(self, asked: Asked) -> tuple[list[Prompt], list[Prompt]]:
        """What is asked of the right candidates and of the wrong ones, of those that ran, every text once."""
        rows = zip(self.task.candidates, self.ran, self.right, strict=True)
        told = {text: right for text, ran, right in rows if ran >= 0.5}
        right, wrong = (
            [asked(self.task, text) for text, fine in told.items() if fine is side] for side in (True, False)
        )
        return right, wrong


def read_tasks(path: Path, seconds: float) -> list[Task]:
    """The rows of a file: "question", "schema", "database" (a sqlite file beside it), "sql", "candidates".

    A query may take so many seconds. Raises DataError for a row that is not one.
    """
    return [_task(row, where, path.parent, seconds) for where, row in read_jsonl(path)]


def split(tasks: Sequence[Task], seed: int) -> tuple[list[Task], list[Task]]:
    """Those to train on and a tenth that is held out, in an order of the seed."""
    found = list(tasks)
    random.Random(seed).shuffle(found)
    apart = max(1, len(found) // 10)
    return found[apart:], found[:apart]


def _task(row: object, where: object, folder: Path, seconds: float) -> Task:
    if not isinstance(row, dict):
        raise DataError(f"{where}: not an object; write one a row")
    texts = [row.get(name) for name in ("question", "schema", "database", "sql")]
    written = row.get("candidates")
    listed = isinstance(written, list) and all(isinstance(text, str) for text in written)
    if not all(isinstance(text, str) for text in texts) or not listed or not written:
        raise DataError(
            f"{where}: needs the texts question, schema, database and sql, and a list of candidates"
        )
    question, schema, path, gold = map(str, texts)
    return Task(question, schema, _opened(folder / path, seconds), gold, tuple(written))


@cache
def _opened(path: Path, seconds: float) -> Database:
    return Database.open(path, seconds=seconds)


def tried(found: Sequence[Task], *, ordered: bool = False) -> list[Tried]:
    """Every candidate run; without the tasks whose gold query returns nothing.

    Right is what returns the gold query's rows, with `ordered` in their order. Raises DataError for a gold
    query that fails.
    """
    made = []
    for task in found:
        wanted = task.database.run(task.gold)
        if isinstance(wanted, Failure):
            raise DataError(f"the gold query {task.gold[:80]!r} fails: {wanted.detail}; mend it or its time")
        known = {text: task.database.run(text) for text in dict.fromkeys(task.candidates)}
        outcomes = tuple(known[text] for text in task.candidates)
        ran = tuple(map(execution_score, outcomes))
        right = tuple(
            e == 1 and same_rows(outcome, wanted, ordered=ordered)
            for e, outcome in zip(ran, outcomes, strict=True)
        )
        if execution_score(wanted) == 1:
            made.append(Tried(task, outcomes, ran, right))
    return made
