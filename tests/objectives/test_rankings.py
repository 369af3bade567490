"""Agreement of rankings, by hand and by laws."""

import random

import pytest

from stablereward.objectives.rankings import kendall


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
