import pytest

from stablereward.errors import ConfigError
from stablereward.lab.statistics import Mean, mean_of, sign_of


def test_the_interval_by_hand():
    # Mean 3, s = sqrt(10 / 4) = 1.5811, t = 2.776: 2.776 * 1.5811 / sqrt(5) = 1.963.
    found = mean_of([1, 2, 3, 4, 5])
    assert (found.value, found.n) == (3, 5)
    assert (found.low, found.high) == pytest.approx((3 - 1.963, 3 + 1.963), abs=1e-3)


def test_one_seed_has_no_interval():
    assert mean_of([0.25]) == Mean(0.25, None, None, 1)


def test_equal_seeds_say_nothing_of_how_far_seeds_lie_apart():
    assert mean_of([1.0, 1.0, 1.0], least=0, most=1) == Mean(1.0, None, None, 3)
    rounded = mean_of([0.90 - 0.80, 0.92 - 0.82, 0.94 - 0.84])
    assert (rounded.low, rounded.high) == (None, None)


def test_a_share_has_no_interval_beyond_0_and_1():
    found = mean_of([1.0, 0.99, 0.98], least=0, most=1)
    assert found.low == pytest.approx(0.99 - 4.303 * 0.01 / 3**0.5, abs=1e-4) and found.high == 1.0
    assert mean_of([0.0, 0.01, 0.02], least=0, most=1).low == 0.0


def test_seeds_are_needed():
    with pytest.raises(ConfigError, match="0 seeds; the lab takes 1 or more"):
        mean_of([])


def test_the_sign_of_an_interval():
    assert sign_of(Mean(2, 1, 3, 2)) == 1
    assert sign_of(Mean(-2, -3, -1, 2)) == -1
    assert sign_of(Mean(1, -1, 3, 2)) == 0
    assert sign_of(Mean(1, None, None, 1)) == 0
