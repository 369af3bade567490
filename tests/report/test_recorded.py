import json
from pathlib import Path

import pytest

from stablereward.report.recorded import MAX_COURSES, MAX_POINTS, Course, Spread, merged, read_recorded

from .recording import spread_of


def spread(update: int, low: float, high: float, *, count: int = 10, updates: int = 1) -> Spread:
    """Nine even quantiles."""
    quantiles = tuple(low + i * (high - low) / 8 for i in range(9))
    return Spread(update, count, (low + high) / 2, quantiles, updates)


def test_two_updates_as_one_by_hand():
    both = merged(spread(1, 0, 8, count=30), spread(2, -4, 4, count=10))
    assert both == Spread(2, 40, 3.0, (-4, -3, -2, -1, 3.0, 5, 6, 7, 8), 2)


@pytest.mark.parametrize("updates", [1, MAX_POINTS - 1, MAX_POINTS, 5 * MAX_POINTS + 3])
def test_a_course_is_bounded_and_loses_no_extreme(updates: int):
    course = Course()
    for update in range(1, updates + 1):
        course.add(spread(update, -update, update if update != 7 else 1e6))
    spreads = course.spreads()
    assert len(spreads) <= MAX_POINTS
    assert len(spreads) * course.stride >= updates
    assert [one.update for one in spreads] == sorted({one.update for one in spreads})
    assert (spreads[-1].update, sum(one.updates for one in spreads)) == (updates, updates)
    assert max(one.quantiles[-1] for one in spreads) == (1e6 if updates >= 7 else 1)
    assert min(one.quantiles[0] for one in spreads) == -updates


def test_a_run_that_went_back_replaces_what_it_left():
    course = Course()
    for update, high in ((1, 1), (2, 2), (3, 1000), (2, 5), (3, 6)):
        course.add(spread(update, 0, high))
    assert [(one.update, one.quantiles[-1]) for one in course.spreads()] == [(1, 1), (2, 5), (3, 6)]


def test_a_file_is_read(tmp_path: Path):
    quantities = {"reward": spread_of([1.0, 2.0, 4.0]), "empty": {"count": 0, "mean": None, "quantiles": []}}
    rows = [{"stage": "rl", "update": update, "quantities": quantities} for update in (1, 2)]
    path = tmp_path / "distributions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"stage": "rl", "upd')
    notices: list[str] = []
    courses = read_recorded(path, notices)
    assert list(courses) == [("rl", "reward")]
    assert courses["rl", "reward"].spreads()[1] == Spread(
        2, 3, pytest.approx(7 / 3), (1.0, 1.0, 1.0, 1.0, 2.0, 4.0, 4.0, 4.0, 4.0)
    )
    assert notices == ["distributions.jsonl:3 left out: cut off in the middle (is the run still writing?)"]


@pytest.mark.parametrize(
    "found",
    [
        5,
        {},
        {"count": 3, "quantiles": [1.0] * 8},
        {"quantiles": [float("nan")] * 9},
        {"quantiles": "123456789"},
    ],
)
def test_what_is_no_distribution_is_left_out_and_counted(tmp_path: Path, found: object):
    path = tmp_path / "distributions.jsonl"
    path.write_text(
        json.dumps({"update": 1, "quantities": {"x": found}}) + "\n" + '{"update": "2"}\n{"update": 3}\n'
    )
    notices: list[str] = []
    assert read_recorded(path, notices) == {}
    assert notices == [
        "distributions.jsonl: 2\N{NO-BREAK SPACE}lines left out: no record of an update",
        "distributions.jsonl: x has no finite quantiles in 1 lines",
    ]


def test_values_that_are_not_finite_are_counted(tmp_path: Path):
    path = tmp_path / "distributions.jsonl"
    row = {
        "update": 1,
        "quantities": {"x": spread_of([1.0]) | {"not_finite": 3}, "y": {"count": 0, "not_finite": 2}},
    }
    path.write_text(json.dumps(row) + "\n")
    notices: list[str] = []
    assert list(read_recorded(path, notices)) == [("", "x")]
    assert notices == [
        f"distributions.jsonl: {n} values of {name} are not finite" for n, name in ((3, "x"), (2, "y"))
    ]


def test_quantities_are_bounded(tmp_path: Path):
    path = tmp_path / "distributions.jsonl"
    quantities = {str(i): spread_of([1.0]) for i in range(MAX_COURSES + 5)}
    path.write_text(json.dumps({"update": 1, "quantities": quantities}) + "\n")
    notices: list[str] = []
    assert len(read_recorded(path, notices)) == MAX_COURSES
    assert notices == [f"distributions.jsonl: all after its first {MAX_COURSES} quantities left out"]


def test_no_file_no_courses(tmp_path: Path):
    assert read_recorded(tmp_path / "distributions.jsonl", []) == {}
