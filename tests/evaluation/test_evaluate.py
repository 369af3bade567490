"""Judge × preferences → rows."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from stablereward.errors import ConfigError, DataError
from stablereward.evaluation.evaluate import at_votes, evaluate, evaluate_async
from stablereward.evaluation.metrics import summarise
from stablereward.judges.controls import always_first, longer_wins, random_choice
from stablereward.judges.protocol import Opinion
from stablereward.types import Failure, Judgement, Preference, Row

ITEMS = [
    Preference(question=f"q{i}", responses=("aa", "a" * (i % 4)), ranks=(i % 2, 1 - i % 2), id=str(i))
    for i in range(10)
]
DATA = Path(__file__).parents[2] / "../shared/data/r1_reward"


class FailsEveryFifth:
    """Every fifth opinion has no verdict; the others say the first response."""

    def __init__(self) -> None:
        self.asked = 0

    async def opinions(
        self, preferences: Sequence[Preference], *, votes: int = 1, both_orders: bool = False
    ) -> list[tuple[Opinion, ...]]:
        return [tuple(self._next() for _ in range(votes * (1 + both_orders))) for _ in preferences]

    def _next(self) -> Opinion:
        self.asked += 1
        return Failure(reason="no answer") if self.asked % 5 == 0 else Judgement(choice=0)


def test_rows_keep_order_labels_and_votes_per_order() -> None:
    rows = evaluate(always_first, ITEMS, votes=3)
    assert [row.id for row in rows] == [p.id for p in ITEMS]
    assert [row.best for row in rows] == [p.best for p in ITEMS]
    assert [[v.choice for v in row.votes] for row in rows] == [[0, 1]] * 10
    assert all(len(v.judgements) == 3 for row in rows for v in row.votes)


def test_rows_of_one_question_share_a_cluster_however_they_are_batched() -> None:
    again = Preference(question="q0", responses=("b", "c"), ranks=(0, 1))
    rows = evaluate(always_first, [*ITEMS, again], votes=3, batch_size=4)
    assert rows[-1].cluster == rows[0].cluster != "" and len({row.cluster for row in rows}) == 10
    assert [row.cluster for row in at_votes(rows, 1)] == [row.cluster for row in rows]


def test_one_order_gives_one_vote() -> None:
    assert {len(row.votes) for row in evaluate(always_first, ITEMS, both_orders=False)} == {1}


@pytest.mark.parametrize("batch_size", [1, 3, 10, 64])
def test_law_the_batch_size_changes_nothing_and_progress_sees_each_row_once(batch_size: int) -> None:
    seen: list[Row] = []
    sizes: list[int] = []

    def progress(rows: Sequence[Row]) -> None:
        seen.extend(rows)
        sizes.append(len(rows))

    judge = random_choice(0)
    rows = evaluate(judge, ITEMS, votes=2, batch_size=batch_size, progress=progress)
    assert rows == seen == evaluate(judge, ITEMS, votes=2)
    assert max(sizes) == min(batch_size, 10)


def test_inside_a_running_loop_both_forms_work() -> None:
    async def notebook_cell() -> None:
        assert evaluate(longer_wins, ITEMS) == await evaluate_async(longer_wins, ITEMS)

    asyncio.run(notebook_cell())


@pytest.mark.parametrize("ranks", [None, (0, 0)])
def test_without_a_single_best_response_nothing_is_judged(ranks: tuple[int, ...] | None) -> None:
    judge = FailsEveryFifth()
    with pytest.raises(DataError, match=r"preference 1 \(id 'x'\)"):
        evaluate(judge, [ITEMS[0], Preference(question="q", responses=("a", "b"), ranks=ranks, id="x")])
    assert judge.asked == 0


def test_a_judge_that_fails_a_fifth_has_that_share_of_parse_failures() -> None:
    assert summarise(evaluate(FailsEveryFifth(), ITEMS, votes=2)).parse_failures == 0.2


def test_fewer_votes_are_drawn_from_the_pool() -> None:
    rows = evaluate(FailsEveryFifth(), ITEMS, votes=15)
    assert at_votes(rows, 15) == rows
    fives = at_votes(rows, 5)
    assert {len(v.judgements) + len(v.failures) for row in fives for v in row.votes} == {5}
    assert all(
        set(map(id, v.judgements)) <= set(map(id, full.judgements))
        for row, pool in zip(fives, rows, strict=True)
        for v, full in zip(row.votes, pool.votes, strict=True)
    )
    with pytest.raises(ConfigError, match="has 15 opinions per order; asked for 16"):
        at_votes(rows, 16)


def test_law_draws_are_unbiased_and_do_not_depend_on_the_order_of_rows() -> None:
    rows = evaluate(FailsEveryFifth(), ITEMS, votes=15)
    assert at_votes(rows[::-1], 4, seed=3)[::-1] == at_votes(rows, 4, seed=3)
    shares = [summarise(at_votes(rows, 1, seed=seed)).parse_failures for seed in range(200)]
    # 4,000 draws from pools with 20 % failures: standard error 0.006.
    assert sum(shares) / len(shares) == pytest.approx(0.2, abs=0.03)


@pytest.mark.parametrize(
    ("file", "published"),
    [("VL-RewardBench/data.jsonl", 0.426), ("MM-RLHF-RewardBench/mm_reward_bench.jsonl", 0.718)],
)
def test_controls_on_real_annotations(file: str, published: float) -> None:
    path = DATA / file
    if not path.exists():
        pytest.skip(f"needs the annotation file shared/data/r1_reward/{file}")
    items = [
        Preference(question=row["prompt"], responses=(row["chosen"], row["rejected"]), ranks=(0, 1))
        for row in map(json.loads, path.read_text().splitlines())
    ]
    assert summarise(evaluate(longer_wins, items)).accuracy_both_orders == pytest.approx(published, abs=0.001)
    first = summarise(evaluate(always_first, items))
    assert (first.accuracy, first.accuracy_mean) == (1.0, 0.5)
