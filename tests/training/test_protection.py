"""The guard by hand: when a rule fires, what it remembers, and what it says."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from stablereward.errors import ModelError, TrainingError
from stablereward.runs.folder import RunFolder
from stablereward.training.protection import MIN_NORMS, Guard, Protection, Rule, rules

HEALTHY = {
    "reward/mean": 1.0,
    "policy/entropy": 0.4,
    "policy/approx_kl": 0.01,
    "policy/weight": 1.0,
    "completions/length": 50.0,
    "completions/clipped": 0.1,
    "update/skipped": 0.0,
}


def guard(path: Path, protection: Protection | None, **settings: Any) -> Guard:
    return Guard(RunFolder(path), "rl", protection, **settings)


def events(path: Path) -> list[dict[str, Any]]:
    file = path / "metrics.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.parametrize(
    ("rule", "bound", "metric", "bad"),
    [
        ("min_reward", 0.5, "reward/mean", 0.4),
        ("min_entropy", 0.1, "policy/entropy", 0.05),
        ("max_entropy", 2.0, "policy/entropy", 2.5),
        ("max_approx_kl", 0.2, "policy/approx_kl", math.inf),
        ("min_length", 10.0, "completions/length", 9.0),
        ("max_clipped", 0.9, "completions/clipped", 1.0),
        ("skipped", 0.0, "update/skipped", 1.0),
    ],
)
def test_a_rule_fires_after_so_many_updates_in_a_row(
    rule: str, bound: float, metric: str, bad: float, tmp_path: Path
) -> None:
    known = {} if rule == "skipped" else {rule: bound}
    watch = guard(tmp_path, Protection(patience=3, **known))  # type: ignore[arg-type]
    broken = {**HEALTHY, metric: bad}
    for update, metrics in enumerate([broken, broken, HEALTHY, broken, broken], 1):
        assert not watch.collapsed(update, metrics)
    with pytest.raises(TrainingError, match=rf"the run has collapsed: {metric} is .* of rule {rule}") as said:
        watch.collapsed(6, broken)
    assert "\n" not in str(said.value)
    (event,) = events(tmp_path)
    assert event == {
        "event": "collapse",
        "stage": "rl",
        "update": 6,
        "rule": rule,
        "value": bad,
        "bound": bound,
    }


def test_sums_over_tokens_are_judged_as_means() -> None:
    rule = Rule("max_entropy", "policy/entropy", 2.0, above=True)
    assert rule.broken({"policy/entropy": 30.0, "policy/weight": 20.0}) is None
    assert rule.broken({"policy/entropy": 50.0, "policy/weight": 20.0}) == 2.5
    assert rule.broken({"policy/entropy": math.nan}) is None and rule.broken({}) is None


def test_a_healthy_run_breaks_no_rule(tmp_path: Path) -> None:
    assert all(rule.broken(HEALTHY) is None for rule in rules(Protection()))
    watch = guard(tmp_path, Protection(patience=1))
    assert not any(watch.collapsed(update, HEALTHY) for update in range(1, 50))
    assert events(tmp_path) == []


def test_updates_that_belong_together_count_together(tmp_path: Path) -> None:
    """The first update of a collection has a divergence of exactly 0, however far the second goes."""
    protection = Protection(patience=4, action="rollback")
    watch = guard(tmp_path, protection, whole=2)
    watch.saving(0)
    far, near = {**HEALTHY, "policy/approx_kl": 3.0}, {**HEALTHY, "policy/approx_kl": 0.0}
    assert [watch.collapsed(n, far if n % 2 == 0 else near) for n in range(1, 5)] == [
        False,
        False,
        False,
        True,
    ]


def test_rollbacks_are_counted_and_end(tmp_path: Path) -> None:
    watch = guard(tmp_path, Protection(action="rollback", patience=1, min_reward=0.5, max_rollbacks=2))
    low = {**HEALTHY, "reward/mean": 0.0}
    watch.saving(0)
    for update in (1, 2):
        assert watch.collapsed(update, low)
        watch.rolled_back(update)
        watch.saving(update)
    assert watch.factor == 0.25 and watch.figures() == {"learning_rate/factor": 0.25}
    with pytest.raises(
        TrainingError, match=r"after 2 rollbacks.*last good weights are checkpoints/rl-000002"
    ):
        watch.collapsed(3, low)
    rollbacks = [event for event in events(tmp_path) if event["event"] == "rollback"]
    assert rollbacks == [
        {"event": "rollback", "stage": "rl", "update": 1, "to_update": 0, "learning_rate_factor": 0.5},
        {"event": "rollback", "stage": "rl", "update": 2, "to_update": 1, "learning_rate_factor": 0.25},
    ]


def test_a_checkpoint_is_good_only_while_no_rule_is_broken(tmp_path: Path) -> None:
    watch = guard(tmp_path, Protection(patience=9, min_reward=0.5))
    watch.saving(1)
    watch.collapsed(2, {**HEALTHY, "reward/mean": 0.0})
    watch.saving(2)
    assert watch.good == 1
    watch.collapsed(3, HEALTHY)
    watch.saving(3)
    assert watch.good == 3


def test_what_is_noted_is_all_that_is_known(tmp_path: Path) -> None:
    protection = Protection(action="rollback", patience=3, min_reward=0.5)
    watch = guard(tmp_path, protection)
    low = {**HEALTHY, "reward/mean": 0.0}
    watch.saving(4)
    for update in range(5, 7):
        watch.accept(update, float(update), 5.0)
        watch.collapsed(update, low)
    again = guard(tmp_path, protection)
    again.recall(json.loads(json.dumps(watch.notes())))
    assert again.notes() == watch.notes() and again.collapsed(7, low) and watch.collapsed(7, low)


@pytest.mark.parametrize(
    "notes", [{"factor": "x"}, {"rollbacks": None}, {"broken": [1]}, {"broken": {"a": "b"}}, {"norms": 3}]
)
def test_damaged_notes_are_a_model_error(notes: dict[str, object], tmp_path: Path) -> None:
    [name] = notes
    with pytest.raises(ModelError, match=rf"newest checkpoint of rl are damaged \({name}.*remove its folder"):
        guard(tmp_path, Protection()).recall(notes)


def test_without_protection_nothing_fires(tmp_path: Path) -> None:
    watch = guard(tmp_path, None)
    assert not any(watch.collapsed(n, {"update/skipped": 1.0}) for n in range(1, 99))
    assert watch.figures() == {} and watch.factor == 1.0


def test_an_exploding_gradient_is_one_far_above_the_median(tmp_path: Path) -> None:
    watch = guard(tmp_path, None)
    first = [100.0, *[2.0] * (MIN_NORMS - 1)]
    assert all(watch.accept(update, norm, 10.0) for update, norm in enumerate(first, 1))
    assert watch.accept(11, 20.0, 10.0)
    assert not watch.accept(12, 20.5, 10.0)
    assert events(tmp_path) == [
        {"event": "exploding_gradient", "stage": "rl", "update": 12, "value": 20.5, "bound": 20.0}
    ]
    assert list(watch.norms[""])[-2:] == [20.0, 20.5], "a refused norm is known as it was"
    # A norm that stays high becomes the new median: training goes on.
    taken = [watch.accept(update, 50.0, 10.0) for update in range(13, 80)]
    assert not taken[0] and taken[-1]


def test_the_gradient_norm_is_not_watched_unless_asked(tmp_path: Path) -> None:
    watch = guard(tmp_path, Protection())
    assert all(watch.accept(update, 10.0**update, None) for update in range(1, 30))
