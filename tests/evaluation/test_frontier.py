"""Equal divergence: where a path reaches a mark."""

import pytest

from stablereward.evaluation.frontier import reached


def test_where_a_path_reaches_a_mark() -> None:
    path = [(0.0, 1.0), (0.2, 2.0), (0.6, 4.0)]
    assert reached(path, 0.4) == pytest.approx(3.0) and reached(path, 0.0) == 1.0
    assert reached(path, 0.7) is None


def test_of_a_path_that_turns_back_the_first_time_counts() -> None:
    assert reached([(0.0, 0.0), (1.0, 1.0), (0.2, 5.0), (1.0, 9.0)], 0.5) == 0.5
