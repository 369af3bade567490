"""Questions about a shop, the queries that answer them, and what a writer of queries makes of them.

    highest price of orders with amount above 52
    SELECT MAX ( price ) FROM orders WHERE amount > 52

    total price of orders of customers with age below 40
    SELECT SUM ( price ) FROM orders JOIN customers ON orders.customer = customers.id WHERE age < 40

The writer errs in the column, the operator, the aggregate or the join. To some questions he has a favourite
mistake, so that most of his queries may agree and be wrong.
"""

import random
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any
from zlib import crc32

from stablereward.errors import ConfigError
from stablereward.rewards.sql import Database
from stablereward.rewards.sql_tasks import Task

COLUMNS = {
    "orders": ("price", "amount"),
    "customers": ("age", "income"),
    "shops": ("staff", "rent"),
}
"""Of each table, the columns beside its id; no name stands in two."""
KEYS = {"customers": "customer", "shops": "shop"}
"""The column of the orders that holds the other table's id."""
AGGREGATES = {"highest": "MAX", "mean": "AVG", "total": "SUM"}
OPERATORS = {"above": ">", "below": "<"}
VALUES = range(10, 100)
"""What conditions compare with; the numbers of the shop lie from 0 to 100 and seldom coincide."""
WORDS = (
    *("SELECT", "(", ")", "FROM", "WHERE", "JOIN", "ON", "of", "with", ".", "id"),
    *(*AGGREGATES, *AGGREGATES.values(), *OPERATORS, *OPERATORS.values()),
    *(*COLUMNS, *KEYS.values(), *map(str, range(10))),
    *(column for columns in COLUMNS.values() for column in columns),
)
"""A token each, most with the space before it."""
CONFUSED = 0.5
FAVOURED = 0.65
EDITS = (0.45, 0.35, 0.2)
"""How often a query has no, one or two mistakes beside the favourite one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One query over the orders, or over orders and the `other` table that the condition is about."""

    aggregate: str
    column: str
    table: str
    condition: str
    operator: str
    value: int
    other: str | None = None
    key: str = ""

    @property
    def sql(self) -> str:
        """The query."""
        join = "" if self.other is None else f" JOIN {self.other} ON {self.key} = {self.other}.id"
        function, operator = AGGREGATES[self.aggregate], OPERATORS[self.operator]
        where = f"WHERE {self.condition} {operator} {self.value}"
        # All names are those above; nothing here is anybody's input.
        return f"SELECT {function} ( {self.column} ) FROM {self.table}{join} {where}"  # noqa: S608

    @property
    def question(self) -> str:
        """What it answers."""
        of = self.table if self.other is None else f"{self.table} of {self.other}"
        return f"{self.aggregate} {self.column} of {of} with {self.condition} {self.operator} {self.value}"


def questions(num: int, *, seed: int, held_out: bool = False) -> list[Query]:
    """Different questions, by their right queries. Every tenth of all is held out.

    Raises ConfigError where there are not so many.
    """
    there = [one for one in _all() if (crc32(one.sql.encode()) % 10 == 0) == held_out]
    if num > len(there):
        raise ConfigError(f"the world has {len(there)} questions of this part, not {num}; ask for fewer")
    return random.Random(f"{seed}/{held_out}").sample(there, num)


@cache
def _all() -> list[Query]:
    tables: list[tuple[str, str | None]] = [*((table, None) for table in COLUMNS)]
    tables += [("orders", other) for other in KEYS]
    return [
        Query(
            aggregate=aggregate,
            column=column,
            table=table,
            condition=condition,
            operator=operator,
            value=value,
            other=other,
            key="" if other is None else f"orders.{KEYS[other]}",
        )
        for table, other in tables
        for aggregate, operator, value in product(AGGREGATES, OPERATORS, VALUES)
        for column, condition in product(COLUMNS[table], COLUMNS[other or table])
    ]


def candidates(query: Query, num: int, *, seed: int) -> list[str]:
    """What the writer makes of the question, `num` times."""
    rng = random.Random(f"{seed}/{query.sql}")
    favourite = _edited(query, rng)
    confused = rng.random() < CONFUSED
    found = []
    for _ in range(num):
        made = favourite if confused and rng.random() < FAVOURED else query
        for _ in range(rng.choices(range(len(EDITS)), EDITS)[0]):
            made = _edited(made, rng)
        found.append(made.sql)
    return found


def _edited(query: Query, rng: random.Random) -> Query:
    """The query with one mistake: some are of a column that the tables have not."""
    every = [column for columns in COLUMNS.values() for column in columns]
    edits: dict[str, list[str]] = {
        "aggregate": list(AGGREGATES),
        "column": every if rng.random() < 0.3 else list(COLUMNS[query.table]),
        "condition": every if rng.random() < 0.3 else list(COLUMNS[query.other or query.table]),
        "operator": list(OPERATORS),
    }
    if query.other is not None:
        edits["key"] = [f"orders.{column}" for column in ("id", *KEYS.values())]
    name = rng.choice(list(edits))
    now = getattr(query, name)
    changed: dict[str, Any] = {name: rng.choice([one for one in edits[name] if one != now])}
    return replace(query, **changed)


def database(seed: int, num_rows: int = 40) -> Database:
    """The shop, with random rows."""
    rng = random.Random(f"{seed}/rows")
    lines = []
    for table, columns in COLUMNS.items():
        keys = list(KEYS.values()) if table == "orders" else []
        names = ["id", *columns, *keys]
        lines.append(f"CREATE TABLE {table} ({', '.join(f'{name} NUMERIC' for name in names)});")
        for number in range(num_rows):
            own = [round(rng.uniform(0, 100), 2) for _ in columns]
            values = [number, *own, *(rng.randrange(num_rows) for _ in keys)]
            lines.append(f"INSERT INTO {table} VALUES ({', '.join(map(str, values))});")  # noqa: S608
    return Database.made("\n".join(lines), seconds=1.0)


def written(num: int, *, seed: int, held_out: bool = False) -> list[Task]:
    """So many questions, each with 32 queries of the writer's. Raises ConfigError as `questions` does."""
    shop = database(seed)
    made = questions(num, seed=seed, held_out=held_out)
    return [Task(q.question, "", shop, q.sql, tuple(candidates(q, 32, seed=seed))) for q in made]
