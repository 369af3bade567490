"""Votes from opinions."""

from itertools import permutations

import pytest

from stablereward.errors import DataError
from stablereward.judges.voting import Ballot, by_confidence, by_probability, confidence, vote
from stablereward.types import Failure, Judgement

FAILED = Failure(reason="no answer")
GIVEN, REVERSED = (0, 1), (1, 0)


def given(*choices: int) -> list[Judgement]:
    return [Judgement(choice=choice) for choice in choices]


def reverse(*choices: int) -> list[Judgement]:
    return [Judgement(choice=choice, order=REVERSED) for choice in choices]


def test_the_majority_wins_and_probabilities_are_shares_of_valid_opinions() -> None:
    result = vote([*given(1, 1, 0), FAILED], 2)
    assert result.choice == 1
    assert result.probabilities == pytest.approx((1 / 3, 2 / 3))
    assert (len(result.judgements), result.failures) == (3, (FAILED,))
    assert confidence(result) == pytest.approx(2 / 3)


def test_a_tie_has_no_choice() -> None:
    result = vote(given(0, 1), 2)
    assert (result.choice, result.probabilities, confidence(result)) == (None, (0.5, 0.5), 0.0)


def test_failures_alone_are_no_vote() -> None:
    result = vote([FAILED, FAILED], 2)
    assert (result.choice, result.probabilities, len(result.failures)) == (None, (0.0, 0.0), 2)


def test_three_thirds_tie_exactly() -> None:
    assert vote([*given(0, 0, 1), *reverse(1, 1, 0)], 2).choice is None
    assert vote(given(2, 2, 2, 1, 1, 0), 3).choice == 2


def test_orders_weigh_equally_when_one_lost_opinions() -> None:
    # Shares of response 0: 3/3 in the given order, 0/1 in the reversed one; a plain majority would say 0.
    assert vote([*given(0, 0, 0), *reverse(1), FAILED, FAILED], 2).probabilities == (0.5, 0.5)
    # 1/3 and 1/1.
    result = vote([*given(0, 1, 1), *reverse(0), FAILED, FAILED], 2)
    assert result.choice == 0
    assert result.probabilities == pytest.approx((2 / 3, 1 / 3))


def test_an_order_that_failed_entirely_has_no_say() -> None:
    assert vote([*given(1), FAILED], 2).choice == 1


def test_a_judge_of_positions_cancels_over_both_orders() -> None:
    assert vote([*given(0, 0), *reverse(1, 1)], 2).choice is None


CASES = [given(0), given(0, 1, 1), [*given(0, 0, 1), FAILED, *reverse(1)], [FAILED], given(0, 1)]


@pytest.mark.parametrize("opinions", CASES)
def test_law_swapping_the_responses_swaps_the_verdict(opinions: list[Judgement | Failure]) -> None:
    swapped = [
        o if isinstance(o, Failure) else Judgement(choice=1 - o.choice, order=tuple(1 - i for i in o.order))
        for o in opinions
    ]
    before, after = vote(opinions, 2), vote(swapped, 2)
    assert after.probabilities == before.probabilities[::-1]
    assert after.choice == (None if before.choice is None else 1 - before.choice)


def test_law_the_order_of_opinions_never_matters() -> None:
    opinions = [*given(0, 1), FAILED, *reverse(0, 0)]
    results = {(v.choice, v.probabilities) for v in (vote(p, 2) for p in permutations(opinions))}
    assert len(results) == 1


def sure(choice: int, confidence: float, order: tuple[int, ...] = GIVEN) -> Judgement:
    return Judgement(choice=choice, confidence=confidence, order=order)


UNSURE = [sure(0, 0.95), sure(1, 0.25), sure(1, 0.5)]


def test_confidence_weighs_opinions() -> None:
    assert vote(UNSURE, 2).choice == 1
    weighed = vote(UNSURE, 2, ballot=by_confidence)
    assert weighed.choice == 0
    assert weighed.probabilities == pytest.approx((0.95 / 1.7, 0.75 / 1.7))
    # The mean of P(first): 0.95, 0.75 and 0.5.
    assert vote(UNSURE, 2, ballot=by_probability).probabilities == pytest.approx((2.2 / 3, 0.8 / 3))
    assert vote([sure(2, 0.5)], 3, ballot=by_probability).probabilities == (0.25, 0.25, 0.5)


def test_weights_tie_exactly_and_orders_still_weigh_equally() -> None:
    assert (
        vote([sure(0, 0.1), sure(0, 0.2), sure(1, 0.2), sure(1, 0.1)], 2, ballot=by_confidence).choice is None
    )
    both = [sure(0, 0.9), sure(0, 0.9), sure(1, 0.1, REVERSED)]
    assert vote(both, 2, ballot=by_confidence).probabilities == (0.5, 0.5)
    assert vote([sure(0, 0.0)], 2, ballot=by_confidence).choice is None
    # An order without any weight has no say.
    unsure = vote([sure(0, 0.9), sure(1, 0.0, REVERSED)], 2, ballot=by_confidence)
    assert (unsure.choice, unsure.probabilities) == (0, (1.0, 0.0))


def test_an_opinion_without_confidence_has_no_weight_to_guess() -> None:
    for ballot in (by_confidence, by_probability):
        with pytest.raises(DataError, match="has no confidence"):
            vote([sure(0, 0.5), *given(1)], 2, ballot=ballot)


@pytest.mark.parametrize("ballot", [by_confidence, by_probability])
def test_law_swapping_swaps_weighted_verdicts_too(ballot: Ballot) -> None:
    opinions = [sure(0, 0.3), sure(1, 0.9, REVERSED), sure(1, 0.4)]
    swapped = [sure(1 - o.choice, o.confidence or 0, o.order[::-1]) for o in opinions]
    before, after = vote(opinions, 2, ballot=ballot), vote(swapped, 2, ballot=ballot)
    assert after.probabilities == before.probabilities[::-1]
    results = {vote(p, 2, ballot=ballot).probabilities for p in permutations(opinions)}
    assert results == {before.probabilities}
