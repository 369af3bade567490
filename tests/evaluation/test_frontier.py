"""Equal divergence: where a path reaches a mark. Hypervolumes of two objectives."""

import random

import pytest

from stablereward.evaluation.frontier import hypervolume, reached


def test_where_a_path_reaches_a_mark() -> None:
    path = [(0.0, 1.0), (0.2, 2.0), (0.6, 4.0)]
    assert reached(path, 0.4) == pytest.approx(3.0) and reached(path, 0.0) == 1.0
    assert reached(path, 0.7) is None


def test_of_a_path_that_turns_back_the_first_time_counts() -> None:
    assert reached([(0.0, 0.0), (1.0, 1.0), (0.2, 5.0), (1.0, 9.0)], 0.5) == 0.5


def test_hypervolume_by_hand() -> None:
    # Strips of 3 x 1, 2 x 1 and 1 x 2.
    assert hypervolume([(1.0, 4.0), (3.0, 1.0), (2.0, 2.0)], (0.0, 0.0)) == 7.0
    assert hypervolume([(1.0, 4.0), (3.0, 1.0)], (1.0, 0.0)) == 2.0
    assert hypervolume([], (0.0, 0.0)) == hypervolume([(-1.0, 5.0)], (0.0, 0.0)) == 0.0


def test_laws_of_hypervolume() -> None:
    rng = random.Random(0)
    points = [(rng.random(), rng.random()) for _ in range(20)]
    whole = hypervolume(points, (0.0, 0.0))
    assert hypervolume(rng.sample(points, 20), (0.0, 0.0)) == whole
    assert hypervolume([*points, (points[0][0] / 2, points[0][1])], (0.0, 0.0)) == whole
    assert hypervolume([*points, (1.1, 0.01)], (0.0, 0.0)) > whole
    assert hypervolume([(y, x) for x, y in points], (0.0, 0.0)) == pytest.approx(whole)
