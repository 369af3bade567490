"""Outcomes with chosen figures."""

from typing import Any

from stablereward.lab.outcome import Course, HeldOut, Outcome
from stablereward.lab.study import Study

START = 0.7


def outcome(regime: str, arm: str, seed: int, accuracy: float, **changed: Any) -> Outcome:
    """A whole run; `changed` are fields of the outcome, of its course or of its held-out figures."""
    held_out = {"n": 100, "accuracy": accuracy, "start_accuracy": START, "readable": 1.0, "consistent": 0.9}
    course: dict[str, Any] = {
        "updates": 60, "skipped": 0, "worst_advantage": 2.0, "largest_used": 2.0, "worst_log_ratio": 0.0,
        "filtered": 0.0, "preclip": 0.0, "min_entropy": 0.1, "max_kl": 0.01, "reward": 1.5,
        "length_change": -0.1 - seed / 100,
    }  # fmt: skip
    rest: dict[str, Any] = {"flip": 0.0, "consistency_weight": 0.5, "stopped": None, "seconds": 1.0}
    for name, value in changed.items():
        next(fields for fields in (held_out, course, rest) if name in fields)[name] = value
    return Outcome(
        regime=regime, arm=arm, seed=seed, held_out=HeldOut(**held_out), course=Course(**course), **rest
    )


def study(accuracies: dict[tuple[str, str], list[float]], *more: Outcome) -> Study:
    """One run for each accuracy, its place is its seed."""
    made = [
        outcome(regime, arm, seed, accuracy)
        for (regime, arm), found in accuracies.items()
        for seed, accuracy in enumerate(found)
    ]
    return Study([*made, *more])
