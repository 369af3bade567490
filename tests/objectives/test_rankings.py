"""Agreement of rankings, by hand and by laws."""

import random

import pytest

from stablereward.objectives.rankings import agreement, kendall


def test_by_hand() -> None:
    assert kendall([1, 2, 3, 4], [1, 2, 4, 3]) == pytest.approx(4 / 6)
    assert kendall([1, 2, 2], [1, 2, 3]) == pytest.approx(2 / 6**0.5)
    assert kendall([1, 1], [1, 2]) is None and kendall([], []) is None
    with pytest.raises(ValueError, match="zip"):
        kendall([1, 2, 3], [1, 2])


def test_laws() -> None:
    rng = random.Random(0)
    for _ in range(100):
        a, b = ([rng.randrange(6) for _ in range(7)] for _ in range(2))
        if (found := kendall(a, b)) is not None:
            assert -1 <= found <= 1 and found == kendall(b, a)
            assert kendall([-x for x in a], b) == pytest.approx(-found)
            assert kendall([x**3 for x in a], b) == found
            assert kendall(a, a) == pytest.approx(1)


def test_law_agreement_of_orders_without_ties_is_the_share_of_pairs_in_one_order() -> None:
    rng = random.Random(1)
    for _ in range(50):
        a, b = rng.sample(range(6), 6), rng.sample(range(6), 6)
        pairs = [(x, y) for x in range(6) for y in range(x)]
        same = sum((a[x] < a[y]) == (b[x] < b[y]) for x, y in pairs)
        assert agreement(a, b) == pytest.approx(same / len(pairs))
    assert agreement([1, 1], [1, 2]) is None
