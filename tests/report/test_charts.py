import random
import re

import pytest

from stablereward.report.axes import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Mark
from stablereward.report.charts import (
    MAX_VERTICES,
    Series,
    line_chart,
    reduce_extremes,
    smooth,
    sparkline,
)

from .reading import Reader


def test_smooth_by_hand():
    values = [0.0] * 30 + [5.0] + [0.0] * 29
    assert smooth(values)[26:35] == pytest.approx([0, *[5 / 7] * 7, 0])
    assert smooth([1.0, 7.0]) == [1.0, 7.0]


def test_smooth_keeps_a_constant():
    assert smooth([2.5] * 300) == pytest.approx([2.5] * 300)


def test_reducing_keeps_every_spike_and_the_order():
    ys = [0.0] * 10_000
    ys[1234], ys[9999] = 8.0, -8.0
    kept = reduce_extremes(range(10_000), ys, 100)
    assert len(kept) <= 100
    assert {(1234, 8.0), (9999, -8.0)} <= set(kept)
    assert kept == sorted(kept)


def test_a_chart_puts_points_where_they_belong():
    series = Series(name="reward", colour=2, xs=[0, 10], ys=[0.0, 10.0])
    chart = line_chart([series], title="Reward", reference=(5.0, "chance"))
    read = Reader(chart)
    assert (
        read.named("path", "line")[0]["d"]
        == f"M{LEFT:.1f} {HEIGHT - BOTTOM:.1f}L{WIDTH - RIGHT:.1f} {TOP:.1f}"
    )
    assert read.named("line", "reference")[0]["y1"] == f"{(HEIGHT - BOTTOM + TOP) / 2:.1f}"
    assert read.named("g", "c2")
    assert len(read.named("circle")) == 2
    assert read.named("svg")[0]["aria-label"] == "Reward: reward 0 → 10"
    assert "Reward: reward, last 10" in read.text
    assert "chance" in read.text


def test_a_long_chart_is_smoothed_light_and_inside_its_frame():
    rng = random.Random(0)
    series = Series(name="x", colour=0, xs=range(50_000), ys=[rng.gauss(0, 1) for _ in range(50_000)])
    chart = line_chart([series], title="x")
    assert len(chart) < 12_000
    paths = [path["d"] for path in Reader(chart).named("path")]
    assert len(paths) == 2
    for path in paths:
        points = [tuple(map(float, pair.split())) for pair in path[1:].split("L")]
        assert len(points) <= MAX_VERTICES + 1
        assert all(LEFT <= x <= WIDTH - RIGHT and TOP <= y <= HEIGHT - BOTTOM for x, y in points)


@pytest.mark.parametrize("ys", [[1.0], [0.0, 0.0], [1e-300, 2e-300], [-1e200, 1e200]])
def test_extreme_values_make_finite_coordinates(ys: list[float]):
    chart = line_chart([Series(name="x", colour=0, xs=list(range(len(ys))), ys=ys)], title="x")
    assert not re.search(r"nan|inf", chart)
    assert not re.search(r"nan|inf", sparkline(ys))


def test_a_bent_axis_keeps_small_values_apart_and_spikes_inside():
    ys = [1.0, 2.0] * 30 + [1000.0]
    series = Series(name="ratio", colour=0, xs=range(61), ys=ys)
    flat, bent = (Reader(line_chart([series], title="x", bend=bend)) for bend in (0.0, 1.0))

    def heights(read: Reader) -> list[float]:
        path = read.named("path", "raw")[0]["d"]
        return [float(pair.split()[1]) for pair in path[1:].split("L")]

    assert abs(heights(flat)[0] - heights(flat)[1]) < 0.5
    assert abs(heights(bent)[0] - heights(bent)[1]) > 8
    assert min(heights(bent)) == TOP
    assert bent.named("svg")[0]["data-bend"] == "1"


def test_marks_stand_at_their_update_and_outside_ones_are_left_out():
    series = Series(name="x", colour=0, xs=[0, 10], ys=[0.0, 1.0])
    marks = [Mark(10, "bad", "collapse", "ratio too large"), Mark(11, "bad", "collapse", "elsewhere")]
    read = Reader(line_chart([series], title="x", marks=marks))
    assert len(read.named("g", "event")) == 1
    assert "ratio too large" in read.text and "elsewhere" not in read.text
    assert f"{WIDTH - RIGHT:.1f}" in [line["x1"] for line in read.named("line")]
