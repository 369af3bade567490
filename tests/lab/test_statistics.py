import pytest

from stablereward.errors import ConfigError
from stablereward.lab.statistics import MAX_SEEDS, Mean, mean_of, sign_of


def test_the_interval_by_hand():
    # Mean 3, s = sqrt(10 / 4) = 1.5811, t = 2.776: 2.776 * 1.5811 / sqrt(5) = 1.963.
    found = mean_of([1, 2, 3, 4, 5])
    assert (found.value, found.n) == (3, 5)
    assert (found.low, found.high) == pytest.approx((3 - 1.963, 3 + 1.963), abs=1e-3)


def test_one_seed_has_no_interval():
    assert mean_of([0.25]) == Mean(0.25, None, None, 1)


@pytest.mark.parametrize("count", [0, MAX_SEEDS + 1])
def test_counts_without_a_quantile_are_refused(count):
    with pytest.raises(ConfigError, match=f"{count} seeds; the lab takes 1 to {MAX_SEEDS}"):
        mean_of([0.5] * count)


def test_the_sign_of_an_interval():
    assert sign_of(Mean(2, 1, 3, 2)) == 1
    assert sign_of(Mean(-2, -3, -1, 2)) == -1
    assert sign_of(Mean(1, -1, 3, 2)) == 0
    assert sign_of(Mean(1, None, None, 1)) == 0
