"""Metrics on rows: hand-computed cases and laws."""

from dataclasses import replace
from random import Random

import pytest

from stablereward.errors import DataError
from stablereward.evaluation.evaluate import evaluate
from stablereward.evaluation.metrics import (
    Difference,
    by_category,
    difference,
    summarise,
)
from stablereward.judges.controls import always_first, longer_wins, random_choice
from stablereward.judges.voting import vote
from stablereward.types import Failure, Judgement, Preference, Row, Vote

GIVEN, REVERSED = (0, 1), (1, 0)


def one(choice: int | None, order: tuple[int, ...]) -> Vote:
    """A vote of one opinion; None failed."""
    return vote([Failure(reason="no answer") if choice is None else Judgement(choice=choice, order=order)], 2)


def row(best: int, given: int | None, swapped: int | None, category: str = "") -> Row:
    return Row(id="", category=category, best=best, votes=(one(given, GIVEN), one(swapped, REVERSED)))


ROWS = [
    row(0, 0, 0, "a"),  # right in both
    row(0, 0, 1, "a"),  # follows the position
    row(1, 1, 1, "b"),  # right in both
    row(1, 0, 0, "b"),  # consistent and wrong
    row(1, None, 1, "b"),  # failed, then right
]


def preferences(n: int = 40, seed: int = 0) -> list[Preference]:
    random = Random(seed)
    return [
        Preference(
            question=f"q{i}",
            responses=tuple("x" * random.randint(1, 5) for _ in range(2)),
            ranks=random.choice([(0, 1), (1, 0)]),
            id=str(i),
        )
        for i in range(n)
    ]


def test_a_summary_by_hand() -> None:
    summary = summarise(ROWS, judge="mine")
    assert (summary.judge, summary.votes, summary.n) == ("mine", 1, 5)
    assert summary.accuracy == 3 / 5
    assert summary.accuracy_swapped == 3 / 5
    assert summary.accuracy_both_orders == 2 / 5
    assert summary.order_consistency == 3 / 4
    assert summary.accuracy_mean == 6 / 10
    # First shown: rows 1-5 in the given order yes, yes, no, yes, -; reversed no, yes, yes, no, yes.
    assert summary.first_shown == 6 / 9
    assert (summary.ties, summary.parse_failures) == (0.0, 1 / 10)
    low, high = summary.interval
    assert 0.0 <= low < 0.6 < high <= 1.0


def test_one_order_has_no_swapped_columns() -> None:
    summary = summarise([replace(item, votes=item.votes[:1]) for item in ROWS])
    assert summary.accuracy == summary.accuracy_mean == 3 / 5
    assert (summary.accuracy_swapped, summary.accuracy_both_orders, summary.order_consistency) == (None,) * 3


def test_ties_are_not_right_and_have_their_own_column() -> None:
    tied = vote([Judgement(choice=0), Judgement(choice=1)], 2)
    summary = summarise([Row(id="", category="", best=0, votes=(tied,))])
    assert (summary.accuracy, summary.ties, summary.parse_failures) == (0.0, 1.0, 0.0)


def test_when_everything_failed_nothing_is_counted_as_a_choice() -> None:
    summary = summarise([row(0, None, None)])
    assert (summary.accuracy_mean, summary.parse_failures, summary.ties) == (0.0, 1.0, 0.0)
    assert (summary.order_consistency, summary.first_shown) == (None, None)


def test_rows_are_needed_and_must_agree_on_orders() -> None:
    with pytest.raises(DataError, match="no rows"):
        summarise([])
    with pytest.raises(DataError, match="one order"):
        summarise([ROWS[0], replace(ROWS[1], votes=ROWS[1].votes[:1])])


def test_categories_are_summarised_apart() -> None:
    table = by_category(ROWS, judge="mine")
    assert list(table) == ["a", "b"]
    assert (table["a"].n, table["a"].accuracy) == (2, 1.0)
    assert (table["b"].n, table["b"].accuracy) == (3, 1 / 3)


def test_rows_of_one_question_are_less_than_as_many_questions() -> None:
    rows = [row(0, int(i < 8), int(i < 8)) for i in range(40)]
    alone = summarise(rows)
    together = summarise([replace(r, cluster=str(i // 4)) for i, r in enumerate(rows)])
    assert together.accuracy_mean == alone.accuracy_mean == 32 / 40
    assert together.interval[0] < alone.interval[0] < 0.8 < alone.interval[1] < together.interval[1]


def test_a_difference_by_hand() -> None:
    better = [row(r.best, r.best, r.best) for r in ROWS]
    result = difference([replace(r, category="") for r in better], ROWS)
    assert result.n == 5
    assert result.difference == pytest.approx(0.4)
    # Right in both orders: 5 against 2, discordant 3 and 0.
    assert result.p_mcnemar == 2 * 1 / 8
    # Orders right: 10 against 6, by 2, 1 and 1 on three pairs: signs agree in 2 of 8 ways, up to none.
    assert result.p_sign_flip == 2 / 8
    assert result.interval[0] <= 0.0 < 0.4 <= result.interval[1]
    opposite = difference(ROWS, better)
    assert opposite.difference == -result.difference
    assert opposite.p_mcnemar == result.p_mcnemar


def test_with_one_order_the_exact_tests_are_one_and_the_interval_keeps_to_them() -> None:
    def judged(only_a: int, only_b: int) -> Difference:
        a = [row(0, int(only_a <= i < only_a + only_b), None) for i in range(200)]
        b = [row(0, int(i < only_a), None) for i in range(200)]
        return difference(*([replace(r, votes=r.votes[:1]) for r in rows] for rows in (a, b)))

    kept, rejected = judged(11, 3), judged(12, 3)
    # 2 (1 + 14 + 91 + 364) / 2^14 = .0574, 2 (1 + 15 + 105 + 455) / 2^15 = .0352
    assert kept.p_mcnemar == kept.p_sign_flip == 2 * 470 / 2**14
    assert rejected.p_mcnemar == rejected.p_sign_flip == 2 * 576 / 2**15
    assert kept.difference == 8 / 200 and kept.interval[0] == 0.0 < rejected.interval[0]
    assert judged(3, 11).interval == (-kept.interval[1], 0.0)


def test_the_exact_tests_take_rows_of_a_question_together() -> None:
    a = [replace(row(0, 0, 0), cluster=str(i // 5)) for i in range(20)]
    b = [replace(row(0, 1, 1), cluster=str(i // 5)) for i in range(20)]
    assert difference(a, b).p_mcnemar == difference(a, b).p_sign_flip == 2 / 2**4
    assert difference(a, b).interval[0] <= 0.0
    assert difference(a[::5], b[::5]).p_mcnemar == 2 / 2**4


def test_a_difference_needs_the_same_rows() -> None:
    with pytest.raises(DataError, match="same preferences"):
        difference(ROWS, ROWS[:-1])


@pytest.mark.parametrize("seed", range(3))
def test_law_always_first_is_a_coin_over_both_orders(seed: int) -> None:
    summary = summarise(evaluate(always_first, preferences(seed=seed), votes=3))
    assert summary.accuracy_mean == 0.5
    assert (summary.order_consistency, summary.first_shown) == (0.0, 1.0)


def test_law_always_first_is_perfect_where_the_chosen_one_always_is_first() -> None:
    summary = summarise(evaluate(always_first, [replace(p, ranks=(0, 1)) for p in preferences()]))
    assert (summary.accuracy, summary.accuracy_swapped, summary.accuracy_both_orders) == (1.0, 0.0, 0.0)


def test_law_longer_wins_equals_the_count() -> None:
    items = preferences()
    lengths = [tuple(map(len, p.responses)) for p in items]
    strictly = sum(n[p.best] > n[1 - p.best] for p, n in zip(items, lengths, strict=True))
    equal = sum(n[0] == n[1] for n in lengths)
    summary = summarise(evaluate(longer_wins, items))
    assert summary.accuracy_mean == pytest.approx((strictly + equal / 2) / len(items))
    assert summary.accuracy_both_orders == strictly / len(items)


def test_law_swapping_the_responses_swaps_the_accuracies() -> None:
    items = preferences()
    judge = random_choice(0)
    before = summarise(evaluate(judge, items, votes=3))
    after = summarise(evaluate(judge, [p.swapped() for p in items], votes=3))
    assert before.accuracy != before.accuracy_swapped
    assert (after.accuracy, after.accuracy_swapped) == (before.accuracy_swapped, before.accuracy)
    assert replace(after, accuracy=before.accuracy, accuracy_swapped=before.accuracy_swapped) == before


def test_law_the_order_of_rows_changes_no_number() -> None:
    rows = evaluate(random_choice(0), preferences(), votes=3)
    other = evaluate(random_choice(1), preferences(), votes=3)
    both = list(zip(rows, other, strict=True))
    Random(0).shuffle(both)
    shuffled, shuffled_other = [a for a, _ in both], [b for _, b in both]
    assert shuffled != rows
    assert summarise(shuffled) == summarise(rows)
    assert difference(shuffled, shuffled_other) == difference(rows, other)
