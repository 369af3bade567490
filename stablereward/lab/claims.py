"""The paper's claims of stability, each held against the runs by a rule that is stated beside it."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from stablereward.lab.outcome import Outcome
from stablereward.lab.statistics import Mean, mean_of, sign_of
from stablereward.lab.study import CALM, REFERENCE, Study
from stablereward.report.quantities import SPACE, number, percent, points

Verdict = Literal["holds", "does not hold", "not seen at this scale"]

MIN_SEEDS = 3
MOST = 0.6
"""Three of five seeds."""
NEARLY_ALL = 0.8
"""Four of five seeds."""
BROKEN_POINTS = 0.20
STABLE_POINTS = 0.05
SIGMAS = 3.0
MAX_RATIO = 1e3
"""The filter's bound and Pre-CLIP's."""

BASELINES = ("reinforce_plus_plus", "ppo")
INTERVAL_RULE = (
    "Holds where the whole 95 % interval over seeds has the claim's sign, does not hold where it has the "
    "other, and is not seen where the interval reaches 0 or the seeds do not differ."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What the paper says, under which regime it was tried, and what the runs say of it."""

    claim: str
    regime: str
    rule: str
    verdict: Verdict
    evidence: str


Tried = tuple[Verdict, str]


def judged(study: Study) -> list[Claim]:
    """Every claim under every regime whose arms were run."""
    return [
        Claim(claim=claim, regime=regime, rule=rule, verdict=tried[0], evidence=tried[1])
        for claim, rule, tries in _CLAIMS
        for regime, tried in tries(study)
    ]


def _tried(study: Study) -> list[str]:
    """The regimes that StableReinforce was run under with enough seeds to say anything."""
    return [regime for regime in study.regimes if len(study.runs.get((regime, REFERENCE), {})) >= MIN_SEEDS]


def _by_interval(mean: Mean, sign: int = 1) -> Verdict:
    found = sign * sign_of(mean)
    return "holds" if found > 0 else "does not hold" if found < 0 else "not seen at this scale"


def _many(count: int, of: int, share: float) -> bool:
    return count >= math.ceil(share * of - 1e-9)


def _collapses(study: Study) -> Iterator[tuple[str, Tried]]:
    for regime in _tried(study):
        plain, stable = (study.runs.get((regime, arm)) for arm in ("reinforce_plus_plus", REFERENCE))
        if not plain or not stable:
            continue
        lost, kept = (sum(one.collapsed for one in runs.values()) for runs in (plain, stable))
        verdict: Verdict = "not seen at this scale"
        if _many(lost, len(plain), MOST):
            stands = _many(len(stable) - kept, len(stable), NEARLY_ALL)
            verdict = "holds" if stands else "does not hold"
        elif _many(kept, len(stable), MOST):
            verdict = "does not hold"
        evidence = f"collapsed: REINFORCE++ {lost} of {len(plain)}, StableReinforce {kept} of {len(stable)}"
        yield regime, (verdict, evidence)


def _survives(study: Study) -> Iterator[tuple[str, Tried]]:
    for regime in _tried(study):
        if regime == CALM or not {(regime, REFERENCE), (CALM, REFERENCE)} <= study.runs.keys():
            continue
        broken = {arm: _broken(study, regime, arm) for arm in BASELINES if (regime, arm) in study.runs}
        if not broken:
            continue
        stable, calm = study.runs[regime, REFERENCE], study.runs[CALM, REFERENCE]
        near = sum(_lost(one, calm.get(seed)) <= STABLE_POINTS + 1e-9 for seed, one in stable.items())
        breaks = any(_many(count, len(study.runs[regime, arm]), MOST) for arm, count in broken.items())
        stands = _many(near, len(stable), NEARLY_ALL)
        verdict: Verdict = "not seen at this scale" if not breaks else "holds" if stands else "does not hold"
        counts = ", ".join(f"{arm} {n} of {len(study.runs[regime, arm])}" for arm, n in broken.items())
        yield regime, (verdict, f"broken: {counts}; StableReinforce near calm: {near} of {len(stable)}")


def _broken(study: Study, regime: str, arm: str) -> int:
    calm: Mapping[int, Outcome] = study.runs.get((CALM, arm), {})
    return sum(
        one.non_finite or _lost(one, calm.get(seed), unknown=0.0) >= BROKEN_POINTS - 1e-9
        for seed, one in study.runs[regime, arm].items()
    )


def _lost(one: Outcome, calm: Outcome | None, unknown: float = math.inf) -> float:
    return unknown if calm is None else calm.held_out.accuracy - one.held_out.accuracy


def _worth(arm: str) -> Callable[[Study], Iterator[tuple[str, Tried]]]:
    """StableReinforce against the arm that lacks a part."""

    def tries(study: Study) -> Iterator[tuple[str, Tried]]:
        for regime in _tried(study):
            found = study.contrast(regime, arm)
            if found is not None:
                yield regime, (_by_interval(found.difference), in_points(found.difference))

    return tries


def _reached(
    arms: tuple[str, ...],
    value: Callable[[Outcome], float | None],
    bound: float,
    show: Callable[[float], str],
) -> Callable[[Study], Iterator[tuple[str, Tried]]]:
    """Whether most runs of the arms go beyond a bound; a bound that is never reached does nothing."""

    def tries(study: Study) -> Iterator[tuple[str, Tried]]:
        for regime in _tried(study):
            runs = [one for arm in arms for one in study.runs.get((regime, arm), {}).values()]
            values = [found for one in runs if (found := value(one)) is not None]
            if values:
                beyond = sum(one > bound for one in values)
                verdict: Verdict = "holds" if _many(beyond, len(runs), MOST) else "not seen at this scale"
                yield regime, (verdict, f"{beyond} of {len(runs)} runs, largest {show(max(values))}")

    return tries


def _gains(study: Study) -> Iterator[tuple[str, Tried]]:
    for regime in _tried(study):
        runs = study.runs.get((regime, REFERENCE), {}).values()
        if runs:
            gains = [one.held_out.accuracy - one.held_out.start_accuracy for one in runs]
            gain = mean_of(gains, least=-1, most=1)
            yield regime, (_by_interval(gain), in_points(gain))


def _shortens(study: Study) -> Iterator[tuple[str, Tried]]:
    for regime in _tried(study):
        runs = study.runs.get((regime, REFERENCE), {}).values()
        changes = [one.course.length_change for one in runs if one.course.length_change is not None]
        if changes:
            change = mean_of(changes)
            yield regime, (_by_interval(change, sign=-1), in_percent(change))


def _needs_referee(study: Study) -> Iterator[tuple[str, Tried]]:
    with_it, without = study.noise.get((0.5, 0.0), {}), study.noise.get((0.0, 0.0), {})
    gains = [
        a - b
        for seed in sorted(with_it.keys() & without.keys())
        if (a := with_it[seed].held_out.consistent) is not None
        and (b := without[seed].held_out.consistent) is not None
    ]
    if gains:
        gain = mean_of(gains, least=-1, most=1)
        yield CALM, (_by_interval(gain), in_points(gain))


def in_points(mean: Mean) -> str:
    """A difference of shares in percentage points with its interval."""
    if mean.low is None or mean.high is None:
        return points(mean.value)
    return f"{points(mean.value)} [{points(mean.low)}, {points(mean.high)}]"


def in_percent(mean: Mean) -> str:
    """A share in per cent with its interval."""
    if mean.low is None or mean.high is None:
        return percent(mean.value)
    low, high = (percent(end).partition(SPACE)[0] for end in (mean.low, mean.high))
    return f"{percent(mean.value)} [{low}, {high}]"


_CLAIMS: tuple[tuple[str, str, Callable[[Study], Iterator[tuple[str, Tried]]]], ...] = (
    (
        "REINFORCE++ collapses, StableReinforce does not",
        "Holds where REINFORCE++ collapses in three fifths of the seeds or more and four fifths of those of "
        "StableReinforce stand; does not hold where fewer of these stand, or where StableReinforce alone "
        "collapses in three fifths; else not seen.",
        _collapses,
    ),
    (
        "Under stress a plain baseline breaks and StableReinforce keeps its calm accuracy",
        "Broken is a run that is not finite or 20 points or more below the arm's calm run of the same seed. "
        "Holds where REINFORCE++ or PPO breaks in three fifths of the seeds and StableReinforce stays within "
        "5 points of its calm run in four fifths; does not hold where it does not stay; not seen where "
        "neither breaks.",
        _survives,
    ),
    ("The filter makes the judge better (paper: +3.0 points)", INTERVAL_RULE, _worth("pre_clip")),
    ("Pre-CLIP makes the judge better (paper: +4.6 points)", INTERVAL_RULE, _worth("filter")),
    (
        "Whitened advantages go beyond 3 sigma",
        "Holds where they do in three fifths of the runs without a filter; else not seen.",
        _reached(("reinforce_plus_plus", "pre_clip"), lambda one: one.course.worst_advantage, SIGMAS, number),
    ),
    (
        "Ratios go beyond Pre-CLIP's bounds of 1e-3 and 1e3",
        "Holds where they do in three fifths of the runs without Pre-CLIP; else not seen.",
        _reached(
            ("reinforce_plus_plus", "filter"),
            lambda one: one.course.worst_log_ratio,
            math.log(MAX_RATIO),
            lambda value: number(math.exp(min(value, 700.0))),
        ),
    ),
    ("Reinforcement makes the cold start better (paper: +7.1 points)", INTERVAL_RULE, _gains),
    ("Analyses get shorter (paper: about 15 %)", INTERVAL_RULE, _shortens),
    ("Without the consistency reward fewer analyses lead to their verdict", INTERVAL_RULE, _needs_referee),
)
