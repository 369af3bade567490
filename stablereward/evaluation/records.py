"""What a scoring rule sees of a judged file: `types.Row`, or `Judged` where a label is no index.

Rows come from this package's own files, from reward scores of pairs, and from the benchmarks' own forms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, FiniteFloat

from stablereward.errors import DataError
from stablereward.evaluation.files import fields, read_rows
from stablereward.evaluation.rows import read
from stablereward.judges.voting import vote
from stablereward.types import Failure, Judgement, Row, Vote

TIE = "tie"
"""Reason of the `Failure` that stands for a verdict "neither is better"."""

EQUAL = "equal scores"
"""Reason of the `Failure` that stands for scores of which none is higher, which most rules call wrong."""

UNREAD = "unread"
"""Reason of the `Failure` that stands for a stored text without a verdict."""

TIES = (TIE, EQUAL)
"""Reasons of a vote that names no winner and was read all the same."""

_GIVEN = (0, 1)


def _alone(score: object) -> object:
    return score[0] if isinstance(score, list) and len(score) == 1 else score


def _whole_or_half(result: float) -> float:
    if result not in (0, 0.5, 1):
        raise ValueError("Input should be 1, 0, or 0.5 where there is no winner")
    return result


Score = Annotated[FiniteFloat, BeforeValidator(_alone)]
"""Of a reward model; some give a list of one score."""

Result = Annotated[float, AfterValidator(_whole_or_half)]
"""What a comparison earned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One judgement in the words of its benchmark.

    `label`    the class that people gave
    `verdict`  the class that the judge gave; None where none could be read
    `scores`   of the responses, in the order that the benchmark says
    `num_right`  how many of the first `scores` belong to right responses
    """

    id: str = ""
    category: str = ""
    label: str = ""
    verdict: str | None = None
    scores: tuple[float, ...] = ()
    num_right: int = 1


class _Rewards(BaseModel):
    rewards: tuple[FiniteFloat, FiniteFloat]


def is_own(path: Path) -> bool:
    """Whether the file was written by `evaluation.rows`."""
    return {"best", "votes"} <= fields(path)


def own_rows(path: Path) -> list[Row]:
    """The rows that `evaluation.rows` wrote, or `evaluation.bench`. Raises `DataError` as its `parse`."""
    return read(path)


def pair(choices: Sequence[int | str], *, id: str, best: int, category: str = "") -> Row:
    """A row of stored verdicts on two responses, the first in the given order and the second in the reversed.

    A verdict is the index of the winner, whatever was shown first, or `TIE`, `EQUAL` or `UNREAD`.
    """
    orders = (_GIVEN, _GIVEN[::-1])
    votes = tuple(_vote(choice, order) for choice, order in zip(choices, orders, strict=False))
    return Row(id=id, category=category, best=best, votes=votes)


def rewarded(path: Path) -> list[int | str]:
    """The verdicts of a file with `rewards: [chosen, rejected]` in each row, as R1-Reward's scripts write it.

    The higher reward wins.
    """
    return [scored(*row.rewards) for row in read_rows(path, _Rewards)]


def scored(first: float, second: float) -> int | str:
    """The verdict of two scores: the higher one wins, and of equal ones none does."""
    return EQUAL if first == second else int(first < second)


def shared_out(share: object, size: int, *, id: str, category: str, where: str) -> list[Row]:
    """As many rows as a category has, right and wrong by its published share; at most one is a tie.

    Judges that write earn half a point for a tie, so a share may be of half pairs.
    Raises `DataError` where it is no share of that many pairs, to six decimals.
    """
    value = share if isinstance(share, float | int) and not isinstance(share, bool) else -1.0
    halves = round(2 * size * value) if 0 <= value <= 1 else -1
    if halves < 0 or abs(halves / (2 * size) - value) > 1e-6:
        raise DataError(f"{where}: field {category!r}: {str(share)[:40]} is no share of {size} pairs")
    right, tied = divmod(halves, 2)
    verdicts = [0] * right + [TIE] * tied + [1] * (size - right - tied)
    return [pair([one], id=f"{id}/{i}", best=0, category=category) for i, one in enumerate(verdicts)]


def judged_rows(path: Path, classes: Sequence[str], tie: str) -> list[Judged]:
    """This package's rows in the words of a benchmark, one per order shown: `classes[i]` for response i.

    Raises `DataError` for rows of more or fewer responses.
    """
    rows = own_rows(path)
    if any(len(one.probabilities) != len(classes) for row in rows for one in row.votes):
        raise DataError(
            f"{path}: holds rows that are not of {len(classes)} responses; name another benchmark"
        )
    return [
        Judged(
            id=row.id,
            category=row.category,
            label=classes[row.best],
            verdict=classes[one.choice] if one.choice is not None else tie if is_tie(one) else None,
        )
        for row in rows
        for one in row.votes
    ]


def is_tie(one: Vote) -> bool:
    """Whether the vote has valid opinions but no winner."""
    return one.choice is None and (bool(one.judgements) or any(f.reason in TIES for f in one.failures))


def _vote(choice: int | str, order: tuple[int, ...]) -> Vote:
    opinion = Failure(reason=choice) if isinstance(choice, str) else Judgement(choice=choice, order=order)
    return vote([opinion], len(order))
