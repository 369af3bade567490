"""Each rule at its boundary."""

import pytest

from stablereward.lab.claims import in_percent, in_points, judged
from stablereward.lab.statistics import Mean
from stablereward.lab.study import Study

from .made import outcome, study

PLAIN, STABLE = "reinforce_plus_plus", "stable_reinforce"
HIGH, LOW = 0.9, 0.3
HOLDS, NOT, UNSEEN = "holds", "does not hold", "not seen at this scale"


def verdicts(made: Study, words: str) -> dict[str, str]:
    """The verdicts on the claim with these words, by regime."""
    return {one.regime: one.verdict for one in judged(made) if words in one.claim}


@pytest.mark.parametrize(
    ("plain", "stable", "expected"),
    [
        ([LOW] * 3 + [HIGH] * 2, [HIGH] * 5, HOLDS),
        ([LOW] * 3 + [HIGH] * 2, [HIGH] * 4 + [LOW], HOLDS),
        ([LOW] * 3 + [HIGH] * 2, [HIGH] * 3 + [LOW] * 2, NOT),
        ([LOW] * 2 + [HIGH] * 3, [HIGH] * 5, UNSEEN),
        ([HIGH] * 5, [LOW] * 3 + [HIGH] * 2, NOT),
    ],
)
def test_who_collapses(plain, stable, expected):
    made = study({("stress", PLAIN): plain, ("stress", STABLE): stable})
    assert verdicts(made, "REINFORCE++ collapses") == {"stress": expected}


@pytest.mark.parametrize(
    ("plain", "stable", "expected"),
    [
        ([HIGH - 0.20] * 3 + [HIGH] * 2, [HIGH - 0.05] * 4 + [LOW], HOLDS),
        ([HIGH - 0.20] * 3 + [HIGH] * 2, [HIGH - 0.05] * 3 + [HIGH - 0.06] * 2, NOT),
        ([HIGH - 0.19] * 5, [HIGH] * 5, UNSEEN),
    ],
)
def test_who_survives_stress(plain, stable, expected):
    calm = {("calm", PLAIN): [HIGH] * 5, ("calm", STABLE): [HIGH] * 5}
    made = study({**calm, ("stress", PLAIN): plain, ("stress", STABLE): stable})
    assert verdicts(made, "Under stress") == {"stress": expected}


def test_a_run_that_is_not_finite_is_broken_whatever_its_accuracy():
    stable = {(regime, STABLE): [HIGH] * 5 for regime in ("calm", "stress")}
    broken = [outcome("stress", "ppo", seed, HIGH, skipped=int(seed < 3)) for seed in range(5)]
    assert verdicts(study(stable, *broken), "Under stress") == {"stress": HOLDS}


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        ([0.80, 0.82, 0.81], HOLDS),
        ([0.99, 0.98, 0.97], NOT),
        ([0.80, 0.95, 0.91], UNSEEN),
        ([0.80, 0.81, 0.82], UNSEEN),  # ten points by every seed: how far seeds lie apart is not known
    ],
)
def test_a_part_is_worth_what_its_interval_says(without, expected):
    made = study({("calm", STABLE): [0.90, 0.91, 0.92], ("calm", "pre_clip"): without})
    assert verdicts(made, "The filter makes") == {"calm": expected}
    assert verdicts(made, "Pre-CLIP makes") == {}


def test_bounds_are_reached_or_not():
    stable = {("calm", STABLE): [HIGH] * 3}
    for far, expected in ((3, HOLDS), (1, UNSEEN)):
        runs = [
            outcome("calm", PLAIN, s, HIGH, worst_advantage=3.1, worst_log_ratio=6.91)
            if s < far
            else outcome("calm", PLAIN, s, HIGH)
            for s in range(3)
        ]
        assert verdicts(study(stable, *runs), "3 sigma") == {"calm": expected}
        assert verdicts(study(stable, *runs), "Pre-CLIP's bounds") == {"calm": expected}


def test_gain_length_and_referee():
    sweep = [
        outcome("calm", STABLE, s, HIGH, consistency_weight=0.0, consistent=0.5 + s / 100) for s in range(3)
    ]
    made = study({("calm", STABLE): [0.80, 0.82, 0.84]}, *sweep)
    assert verdicts(made, "Reinforcement makes") == {"calm": HOLDS}
    assert verdicts(made, "Analyses get shorter") == {"calm": HOLDS}
    assert verdicts(made, "Without the consistency reward") == {"calm": HOLDS}


def test_fewer_than_three_seeds_judge_nothing():
    assert judged(study({("calm", STABLE): [0.9, 0.9], ("calm", "pre_clip"): [0.1, 0.1]})) == []


def test_figures_in_words():
    assert in_points(Mean(0.05, -0.01, 0.11, 5)) == "+5.0 [\N{MINUS SIGN}1.0, +11.0]"
    assert in_percent(Mean(0.5, None, None, 1)) == "50.0\N{NO-BREAK SPACE}%"
    assert in_percent(Mean(0.5, 0.4, 0.6, 2)) == "50.0\N{NO-BREAK SPACE}% [40.0, 60.0]"
