"""MT-bench: https://arxiv.org/abs/2306.05685. A judge rates the answers of two turns, from 1 to 10.

It holds no labels, so a judge cannot be right or wrong here: only its ratings are turned into scores.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, FiniteFloat

from stablereward.evaluation.benchmarks import Benchmark, CategoryMap, Rule
from stablereward.evaluation.files import fields, read_rows, unknown_form
from stablereward.evaluation.records import Judged
from stablereward.evaluation.tables import NUMBER, Figure

KINDS = ("writing", "roleplay", "reasoning", "math", "coding", "extraction", "stem", "humanities")
"""Of ten questions each, numbered from 81."""

TURNS = {1: "first turn", 2: "second turn"}
NO_RATING = -1
LOWEST, HIGHEST = 1, 10


class _Rated(BaseModel):
    question_id: int
    model: str
    turn: Literal[1, 2]
    score: FiniteFloat


def kind(id: str, stored: str) -> str:
    """The model with the kind of the question; the model alone for a number that is not of the 80."""
    number = int(id.partition(" ")[0]) - 81
    return f"{stored}, {KINDS[number // 10]}" if 0 <= number < 10 * len(KINDS) else stored


def read(path: Path, data: Path | None = None) -> tuple[list[Judged], tuple[str, ...]]:
    """The authors' single-answer grades, `{question_id, model, turn, score}`; a score of -1 was not read."""
    if not {"question_id", "model", "turn", "score"} <= fields(path):
        raise unknown_form(path, "{question_id, model, judge, turn, score}")
    rows = read_rows(path, _Rated)
    outside = sum(row.score != NO_RATING and not LOWEST <= row.score <= HIGHEST for row in rows)
    return [
        Judged(
            id=f"{row.question_id} {row.turn}",
            category=row.model,
            label=TURNS[row.turn],
            scores=() if row.score == NO_RATING else (row.score,),
        )
        for row in rows
    ], (f"{outside} ratings are outside {LOWEST} to {HIGHEST} and count as they are",) if outside else ()


def _figure(name: str, records: Sequence[Judged]) -> Figure:
    scores = [score for record in records for score in record.scores]
    return Figure(
        name=name,
        value=sum(scores) / len(scores) if scores else None,
        unit=NUMBER,
        n=len(scores),
        unread=sum(not record.scores for record in records),
    )


def _official(records: Sequence[Judged]) -> tuple[Figure, ...]:
    return tuple(_figures(records))


def _figures(records: Sequence[Judged]) -> Iterator[Figure]:
    for name in sorted({record.category for record in records}):
        some = [record for record in records if record.category == name]
        yield _figure(name, some)
        for turn in TURNS.values():
            yield _figure(f"{name}: {turn}", [record for record in some if record.label == turn])


RULES: Mapping[str, Rule[Judged]] = {
    "official": Rule("mean of the ratings of both turns, 1 to 10; unread ones (-1) left out", _official),
}

BENCHMARK = Benchmark[Judged](
    name="MT-bench",
    data=(
        "80 questions of two turns. Ratings as model_judgment/gpt-4_single.jsonl of the repository "
        "lm-sys/FastChat (Apache-2.0), fastchat/llm_judge; several models may stand in one file. Text only."
    ),
    rules=RULES,
    maps={
        "model": CategoryMap(about="the model that answered"),
        "kind": CategoryMap(about="the model and the kind of question, ten questions each", category=kind),
    },
    read=read,
)
