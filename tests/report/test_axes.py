import math
import random

import pytest

from stablereward.report.axes import (
    BOTTOM,
    HEIGHT,
    MAX_MARKS,
    TOP,
    Frame,
    Mark,
    across,
    bend_of,
    bent_ticks,
    draw_marks,
    path_of,
    scaled,
    ticks,
)

from .reading import Reader


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 10, [0, 5, 10]), (0.1, 0.9, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (-3, 1, [-3, -2, -1, 0, 1])],
)
def test_ticks_by_hand(low: float, high: float, expected: list[float]):
    assert ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(20))
def test_ticks_enclose_the_values_in_few_steps(seed: int):
    rng = random.Random(seed)
    low = rng.gauss(0, 1) * 10 ** rng.randint(-6, 6)
    high = low + rng.random() * 10 ** rng.randint(-3, 6)
    made = ticks(low, high)
    tolerance = 1e-6 * (made[-1] - made[0])
    assert made[0] <= low + tolerance
    assert made[-1] >= high - tolerance
    assert 2 <= len(made) <= 7


def test_ticks_of_one_value_surround_it():
    for value in (0.0, 3.0, -2e-7):
        made = ticks(value, value)
        assert made[0] < value < made[-1]


def test_an_axis_bends_only_for_outliers():
    assert bend_of([1.0] * 99 + [29.0]) == 0.0
    assert bend_of([1.0] * 99 + [-1000.0]) == 1.0
    assert bend_of([0.0] * 99 + [5.0]) == 0.0
    assert bend_of([1e-320] * 99 + [1e299]) == pytest.approx(1e287)


def test_bent_ticks_by_hand():
    assert bent_ticks(-50, 2000, 0.1) == [-10, 0, 10, 1000]
    assert bent_ticks(0, 500, 1.0) == [0, 10, 100]


def test_a_bent_axis_ends_where_its_values_do_and_has_zero():
    assert scaled(3.0, 4000.0, 1.0) == (0.0, 4000.0, [0, 10, 100, 1000])
    assert scaled(0.0, 0.0, 0.0)[:2] == (0.0, 1.0)
    assert scaled(1.0, 9.0, 0.0)[:2] == (0.0, 10.0)


@pytest.mark.parametrize("bend", [0.0, 0.01, 3.0])
def test_heights_can_be_read_back(bend: float):
    frame = Frame(0, 1, -5, 5000, bend)
    for value in (-5.0, 0.0, 0.3, 4999.0):
        assert frame.straight(frame.bent(value)) == pytest.approx(value)
    assert frame.point(0, -5)[1] == pytest.approx(HEIGHT - BOTTOM)
    assert frame.point(0, 5000)[1] == pytest.approx(TOP)


def test_one_update_has_room_on_both_sides():
    assert across(3, 3) == (2, 4)
    assert across(1, 3) == (1, 3)


def test_marks_that_touch_become_one_and_the_serious_lie_on_top():
    marks = [Mark(5, "bad", "collapse", "b")] + [Mark(5 + i / 1e6, "warn", "dropped", "w") for i in range(9)]
    read = Reader(draw_marks(Frame(0, 10, 0, 1), marks))
    assert [one["class"] for one in read.named("g")] == ["event warn", "event bad"]
    assert "w (and 8 more here)b" in read.text
    assert len(read.named("line")) == 1


def test_many_marks_are_bounded_and_the_serious_are_kept():
    marks = [Mark(i, "warn", "dropped", "w") for i in range(1000)] + [Mark(3, "bad", "collapse", "b")]
    read = Reader(draw_marks(Frame(0, 999, 0, 1), marks))
    assert len(read.named("g", "event")) == MAX_MARKS
    assert read.named("g", "bad")


def test_a_path():
    assert path_of([(0, 1), (2, 3.14159)]) == "M0.0 1.0L2.0 3.1"
    assert math.isfinite(Frame(0, 1, 0, 1e300).point(0.5, 1e299)[1])
