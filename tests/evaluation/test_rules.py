"""Rules that several benchmarks share."""

from stablereward.evaluation.evaluate import evaluate
from stablereward.evaluation.records import EQUAL, TIE, UNREAD, pair
from stablereward.evaluation.rules import (
    by_category,
    half,
    half_for_words,
    left_out,
    right_shown_first,
    right_shown_later,
    strict,
)
from stablereward.evaluation.rules import stablereward as ours
from stablereward.evaluation.tables import Figure
from stablereward.judges.controls import always_first
from stablereward.judges.protocol import orders
from stablereward.judges.voting import vote
from stablereward.types import Failure, Judgement, Preference, Row

ROWS = [
    pair([0, 0], id="1", best=0, category="a"),
    pair([0, 1], id="2", best=1, category="a"),
    pair([UNREAD, 1], id="3", best=1, category="b"),
    pair([TIE, 0], id="4", best=1, category="b"),
]
PREFERENCES = [
    Preference(question=f"q{i}", responses=("yes", "no"), ranks=(0, 1) if i % 3 else (1, 0), id=str(i))
    for i in range(100)
]


def named(figures: tuple[Figure, ...]) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures}


def test_what_votes_are_worth_by_hand() -> None:
    assert [strict(row) for row in ROWS] == [[1, 1], [0, 1], [0, 1], [0, 0]]
    assert [left_out(row) for row in ROWS] == [[1, 1], [0, 1], [1], [0]]
    assert [half(row) for row in ROWS] == [[1, 1], [0, 1], [0.5, 1], [0.5, 0]]
    four = Row(id="", category="", best=2, votes=(vote([Failure(reason="no_answer")], 4),))
    assert half(four) == [0.25]
    level = pair([EQUAL, UNREAD], id="", best=0)
    assert (half(level), half_for_words(level), strict(level)) == ([0.5, 0.5], [0, 0.5], [0, 0])
    # The second vote saw the responses in reverse, so there response 1 stood first.
    assert [right_shown_first(row) for row in ROWS] == [[1], [1], [1], [0]]
    assert [right_shown_later(row) for row in ROWS] == [[1], [0], [0], [0]]


def test_categories_micro_and_macro_by_hand() -> None:
    figures = named(by_category(ROWS, left_out))
    assert {name: figure.value for name, figure in figures.items()} == {
        "a": 75.0,
        "b": 50.0,
        "overall": 100 * 4 / 6,
        "macro": 62.5,
    }
    assert (figures["b"].unread, figures["b"].ties) == (1, 1)


def test_rows_without_categories_have_an_overall_score_only() -> None:
    assert [figure.name for figure in by_category([pair([0], id="", best=0)])] == ["overall"]


def test_always_first_is_perfect_where_the_right_answer_is_shown_first_and_a_coin_in_both_orders() -> None:
    figures = named(ours(evaluate(always_first, PREFERENCES)))
    assert figures["right answer shown first"].value == 100.0
    assert figures["right answer shown later"].value == 0.0
    assert figures["overall"].value == 50.0
    assert figures["same choice in both orders"].value == 0.0
    assert figures["chose the answer shown first"].value == 100.0


class Mumbling:
    """Right in 3 of 4 answers, and without a verdict in every fifth of all."""

    async def opinions(
        self, preferences: list[Preference], *, votes: int = 1, both_orders: bool = False
    ) -> list[tuple[Judgement | Failure, ...]]:
        return [
            tuple(self._opinion(preference, order) for order in orders(2, both_orders))
            for preference in preferences
        ]

    def _opinion(self, preference: Preference, order: tuple[int, ...]) -> Judgement | Failure:
        number = int(preference.id)
        if number % 5 == 0:
            return Failure(reason="no_answer")
        best = preference.best or 0
        return Judgement(choice=best if number % 5 < 4 else 1 - best, order=order)


def test_a_judge_that_mumbles_keeps_its_accuracy_on_the_rest_and_has_a_column_for_the_failures() -> None:
    figures = named(ours(evaluate(Mumbling(), PREFERENCES)))
    assert figures["right among verdicts"].value == 75.0
    assert figures["overall"].value == 60.0
    assert figures["no verdict"].value == 20.0
    assert figures["overall"].unread == 40


def test_one_order_has_no_figures_about_two() -> None:
    names = named(ours([pair([0], id="", best=0)]))
    assert "right in both orders" not in names
    assert names["right answer shown later"].value is None


def test_the_order_of_rows_does_not_matter() -> None:
    rows: list[Row] = list(reversed(ROWS))
    assert named(ours(rows)) == named(ours(ROWS))
