from pathlib import Path

import pytest

from stablereward.report.results import accuracy, qualification, results_section, role, verdict
from stablereward.report.run import Result, Run

from .reading import Reader

START = Result(judge="cold start", accuracy=0.76, accuracy_swapped=0.74, n=200, interval=(0.70, 0.80))
TRAINED = Result(judge="trained judge", accuracy=0.93, accuracy_swapped=0.95, n=200, interval=(0.91, 0.97))
LONGER = Result(judge="longer response", accuracy=0.5, accuracy_swapped=0.5)


def section(*results: Result, categories: dict[str, dict[str, float]] | None = None) -> Reader:
    made = results_section(Run(folder=Path("run"), results=list(results), categories=categories or {}))
    assert made is not None
    return Reader(made)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("trained judge", "trained"),
        ("R1-Reward", "trained"),
        ("untrained model", ""),
        ("cold_start", "start"),
        ("SFT", "start"),
        ("always first", "control"),
        ("trained judge, image hidden", "control"),
        ("gpt-4o", ""),
    ],
)
def test_role_by_name(name: str, expected: str):
    assert role(Result(judge=name)) == expected
    assert role(Result(judge=name, role="other")) == "other"


def test_accuracy_is_the_mean_of_the_orders_measured():
    assert accuracy(TRAINED) == pytest.approx(0.94)
    assert accuracy(Result(judge="x", accuracy=0.8)) == 0.8
    assert accuracy(Result(judge="x")) is None


def test_the_verdict_compares_with_the_start():
    read = Reader(verdict([START, TRAINED, LONGER]) or "")
    assert read.text == "Trained judge: 94.0 % held-out accuracy, +19.0 points over its cold start."
    assert read.named("b", "up")


def test_a_loss_is_said_as_plainly_as_a_gain():
    worse = TRAINED.model_copy(update={"accuracy": 0.7, "accuracy_swapped": 0.7, "interval": (0.6, 0.69)})
    read = Reader(verdict([START, worse]) or "")
    assert "−5.0 points" in read.text
    assert read.named("b", "down")


def test_the_verdict_compares_at_equal_votes():
    voted = [
        one.model_copy(update={"votes": 5, "accuracy": 1.0, "accuracy_swapped": 1.0})
        for one in (START, TRAINED)
    ]
    assert "94.0 % held-out accuracy, +19.0 points" in Reader(verdict([*voted, START, TRAINED]) or "").text


def test_without_a_trained_judge_the_best_one_is_named():
    models = [Result(judge="a", accuracy=0.6), Result(judge="b", accuracy=0.8), LONGER]
    assert Reader(verdict(models) or "").text == "B: 80.0 % held-out accuracy."
    assert verdict([LONGER]) is None
    assert verdict([]) is None


def test_the_qualification_says_sample_interval_and_control():
    text = Reader(qualification([START, TRAINED, LONGER]) or "").text
    assert text == (
        "Measured on 200 pairs in both orders; 95 % interval 91.0–97.0 %; "
        "the best control, “longer response”, reaches 50.0 %."
    )


def test_the_qualification_admits_noise():
    unsure = TRAINED.model_copy(update={"interval": (0.79, 0.99)})
    strong = LONGER.model_copy(update={"accuracy": 0.8, "accuracy_swapped": 0.8})
    text = Reader(qualification([START, unsure, strong]) or "").text
    assert not Reader(verdict([START, unsure]) or "").named("b", "up")
    assert "this interval overlaps that of “cold start”" in text
    assert "reaches 80.0 %, which is not clearly less" in text


def test_controls_stand_apart_below():
    text = section(LONGER, START, TRAINED).text
    assert text.index("trained judge") < text.index("Controls") < text.index("longer response")


def test_bar_whisker_and_chance():
    read = section(TRAINED)
    assert read.named("i", "fill")[0]["style"] == "width:94.0%"
    assert read.named("i", "whisker")[0]["style"] == "left:91.0%;width:6.0%"
    assert read.named("i", "chance")[0]["style"] == "left:50%"


@pytest.mark.parametrize(
    ("failures", "shown"), [(0.02, "2.0 %"), (3, "3"), (0, "0"), (7.0, "7"), (None, "–")]
)
def test_parse_failures_are_a_share_or_a_count(failures: float | None, shown: str):
    read = section(Result(judge="a", accuracy=0.5, parse_failures=failures))
    assert f"–––{shown}Each pair" in read.text


def test_what_was_not_measured_is_a_dash():
    assert "nan" not in section(Result(judge="a", accuracy=0.5)).text
    assert section(Result(judge="a")).text.count("–") >= 5


def test_categories():
    read = section(TRAINED, categories={"a": {"general": 0.75}, "b": {"reasoning": 1.0}})
    assert [one["style"] for one in read.named("td") if "style" in one] == [
        "--strength:22%",
        "--strength:0%",
        "--strength:0%",
        "--strength:45%",
    ]
