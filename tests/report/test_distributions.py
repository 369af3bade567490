from pathlib import Path

from stablereward.report.distributions import distributions_section, side_by_side
from stablereward.report.recorded import MAX_POINTS, Course, Spread
from stablereward.report.run import Run, read_run

from .reading import Reader


def recorded(*values: float, stage: str = "rl", name: str = "reward") -> dict[tuple[str, str], Course]:
    course = Course()
    for update, value in enumerate(values, 1):
        course.add(Spread(update, 1, value, (value,) * 9))
    return {(stage, name): course}


def titles(read: Reader) -> list[str]:
    return [one["aria-label"].partition(":")[0] for one in read.named("svg", "chart")]


def test_a_fan_for_each_quantity_in_the_order_of_the_catalogue(run_folder: Path):
    read = Reader(distributions_section(read_run(run_folder)) or "")
    assert titles(read) == ["Reward", "Advantages", "Log-ratio", "Entropy", "Length"]
    assert "The same in every update: Reward: consistency is 1." in read.text
    assert read.text.count("The axis is logarithmic beyond") == 1
    assert "5 to 95 %" in read.text
    assert read.named("g", "bad"), "events are marked"


def test_points_that_stand_for_several_updates_are_said_to():
    long = Run(folder=Path("run"), recorded=recorded(*range(2 * MAX_POINTS + 1)))
    assert "A point stands for up to 4 updates" in Reader(distributions_section(long) or "").text
    short = Run(folder=Path("run"), recorded=recorded(1.0, 2.0))
    assert "A point stands" not in Reader(distributions_section(short) or "").text


def test_stages_are_told_apart_where_both_recorded_a_quantity():
    both = recorded(1.0, 2.0, stage="cold_start") | recorded(2.0, 3.0)
    read = Reader(distributions_section(Run(folder=Path("run"), recorded=both)) or "")
    assert titles(read) == ["Reward, cold start", "Reward, reinforcement learning"]


def test_no_recording_no_section():
    assert distributions_section(Run(folder=Path("run"))) is None
    assert side_by_side([Run(folder=Path("a")), Run(folder=Path("b"))]) is None


def test_runs_without_a_recording_have_no_fan():
    runs = [Run(folder=Path("a")), Run(folder=Path("b"), recorded=recorded(1.0, 2.0))]
    assert titles(Reader(side_by_side(runs) or "")) == ["Reward, b"]
