"""RM-Bench: https://arxiv.org/abs/2410.16184. Three right and three wrong answers in three styles. Text only.

Each right answer meets each wrong one: the nine pairs form a matrix of styles.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, FiniteFloat

from stablereward.errors import DataError
from stablereward.evaluation.benchmarks import STABLEREWARD, Benchmark, CategoryMap, Rule
from stablereward.evaluation.files import fields, read_document, read_rows, unknown_form
from stablereward.evaluation.records import is_own, own_rows, pair, scored, shared_out
from stablereward.evaluation.rules import accuracy, categories
from stablereward.evaluation.tables import Figure, mean
from stablereward.types import Preference, Row

STYLES = ("concise", "detailed", "markdown")
SIZES = {"chat": 129, "code": 228, "math": 529, "safety": 441}
"""Items per domain; each is nine pairs."""

_WHOLE = "of the domain's share"
DIFFICULTIES = ("hard_acc", "normal_acc", "easy_acc")
_DOMAINS = {"alpacaeval": "chat", "safety-refuse": "safety", "safety-response": "safety"}


class _Item(BaseModel):
    id: int | str
    prompt: str
    chosen: tuple[str, str, str]
    rejected: tuple[str, str, str]
    domain: str = ""
    subset: str = ""


class _Scored(BaseModel):
    id: int | str
    score_chosen: tuple[FiniteFloat, FiniteFloat, FiniteFloat]
    score_rejected: tuple[FiniteFloat, FiniteFloat, FiniteFloat]
    domain: str = ""
    subset: str = ""


def domain(stored: str, path: Path) -> str:
    """One of the four domains, from a row's domain or subset or else the file's name."""
    first = path.name.partition("_")[0]
    named = (_DOMAINS.get(name, name) for name in (stored, first))
    return next((name for name in named if name in SIZES), stored)


def load(path: Path, *, images_root: Path | None = None, require_images: bool = True) -> Iterator[Preference]:
    """A domain's file: nine preferences an item, `id` being "item:right style:wrong style"."""
    for row in read_rows(path, _Item):
        category = domain(row.domain or row.subset, path)
        for i, chosen in enumerate(row.chosen):
            for j, rejected in enumerate(row.rejected):
                yield Preference(
                    question=row.prompt,
                    responses=(chosen, rejected),
                    ranks=(0, 1),
                    id=f"{row.id}:{STYLES[i]}:{STYLES[j]}",
                    category=category,
                )


def read(path: Path, data: Path | None = None) -> tuple[list[Row], tuple[str, ...]]:
    """This package's rows on `load`, `{id, score_chosen[3], score_rejected[3]}`, or domains' shares.

    Scores go from concise to markdown. A file of results, `{chat, code, math, safety, total_avg_acc, …}`,
    tells how many pairs of a domain are right, not which: rows made of it name no styles.
    """
    if is_own(path):
        return own_rows(path), ()
    if {*SIZES, "total_avg_acc"} <= fields(path):
        return _read_result(path)
    if not {"id", "score_chosen", "score_rejected"} <= fields(path):
        known = "this package's rows, {id, score_chosen, score_rejected} and {chat, code, …, total_avg_acc}"
        raise unknown_form(path, known)
    return [
        pair(
            [scored(chosen, rejected)],
            id=f"{row.id}:{STYLES[i]}:{STYLES[j]}",
            best=0,
            category=domain(row.domain or row.subset, path),
        )
        for row in read_rows(path, _Scored)
        for i, chosen in enumerate(row.score_chosen)
        for j, rejected in enumerate(row.score_rejected)
    ], ()


def _read_result(path: Path) -> tuple[list[Row], tuple[str, ...]]:
    stored = read_document(path, dict[str, FiniteFloat])
    rows = [
        row
        for name, items in SIZES.items()
        for row in shared_out(stored[name], 9 * items, id=_WHOLE, category=name, where=str(path))
    ]
    parts = [100 * stored[name] for name in DIFFICULTIES if name in stored]
    told = ", ".join(f"{part:.2f}" for part in parts)
    return rows, (
        "made of the domains' accuracies, so which pairs are right is not known and hard, normal and easy "
        f"cannot be counted; the file says {told or 'nothing of them'}",
    )


def difficulty(row: Row) -> str:
    """Hard where the wrong answer has the fancier style, easy where the right one has."""
    right, wrong = f"::{row.id}".rsplit(":", 2)[1:]
    if right not in STYLES or wrong not in STYLES:
        raise DataError(f"row {row.id!r} names no styles; judge the preferences that this benchmark loads")
    return ("normal", "hard", "easy")[
        (STYLES.index(wrong) > STYLES.index(right)) - (STYLES.index(wrong) < STYLES.index(right))
    ]


def _official(rows: Sequence[Row]) -> tuple[Figure, ...]:
    domains = {name: _by_difficulty(name, some) for name, some in categories(rows).items()}
    columns = list(zip(*domains.values(), strict=True))
    figures = (
        *(figures[0] for figures in domains.values()),
        mean("total", columns[0]),
        *(mean(name, column) for name, column in zip(("hard", "normal", "easy"), columns[1:], strict=True)),
        *(figure for figures in domains.values() for figure in figures[1:]),
    )
    return tuple(figure for figure in figures if figure.value is not None)


def _by_difficulty(name: str, rows: Sequence[Row]) -> tuple[Figure, ...]:
    """The domain's mean of hard, normal and easy, which are as many pairs each, then the three."""
    if all(row.id.startswith(_WHOLE) for row in rows):
        unknown = [Figure(name=f"{name} {one}", value=None) for one in ("hard", "normal", "easy")]
        return accuracy(name, rows), *unknown
    each = {one: [row for row in rows if difficulty(row) == one] for one in ("hard", "normal", "easy")}
    parts = [accuracy(f"{name} {one}", some) for one, some in each.items()]
    return mean(name, parts), *parts


RULES: Mapping[str, Rule[Row]] = {
    "official": Rule(
        "nine pairs an item; equal or unread wrong; a domain is the mean of hard, normal and easy, total "
        "of domains",
        _official,
    ),
    "stablereward": STABLEREWARD,
}

BENCHMARK = Benchmark[Row](
    name="RM-Bench",
    data=(
        "1,327 items. The files data/*_filtered.json of the repository THU-KEG/RM-Bench, or Hugging Face "
        "dataset THU-KEG/RM-Bench; neither states a licence. Text only."
    ),
    rules=RULES,
    maps={
        "official": CategoryMap(
            about="the domain; both kinds of safety are one",
            sizes={name: 9 * items for name, items in SIZES.items()},
        ),
    },
    read=read,
    load=load,
)
