"""The outcomes of all runs as figures: arms by regime, differences paired by seed, the noise sweep."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stablereward.lab.jobs import WEIGHT
from stablereward.lab.outcome import Outcome
from stablereward.lab.statistics import Mean, mean_of

REFERENCE = "stable_reinforce"
CALM = "calm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """An arm under a regime over its seeds. Accuracies are shares; worst is worst of all its runs.

    `change` is accuracy minus the arm's own under the calm regime, paired by seed; None without it.
    """

    regime: str
    arm: str
    start: float
    accuracy: Mean
    change: Mean | None
    runs: int
    collapsed: int
    non_finite: int
    skipped: int
    worst_advantage: float | None
    largest_used: float | None
    worst_log_ratio: float | None
    filtered: float | None
    preclip: float | None
    readable: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """StableReinforce minus another arm, accuracy, paired by seed."""

    regime: str
    arm: str
    difference: Mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Noisy:
    """StableReinforce where a share `flip` of the referee's replies is exchanged."""

    consistency_weight: float
    flip: float
    accuracy: Mean
    consistent: Mean | None


class Study:
    """Outcomes arranged: the ablation by (regime, arm) and seed, the sweep by (weight, flip) and seed.

    The sweep has the seeds that every one of its cells has been run with; it is empty where only the ablation
    was run.
    """

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        self.runs: dict[tuple[str, str], dict[int, Outcome]] = {}
        self.noise: dict[tuple[float, float], dict[int, Outcome]] = {}
        for one in outcomes:
            if (one.flip, one.consistency_weight) == (0.0, WEIGHT):
                self.runs.setdefault((one.regime, one.arm), {})[one.seed] = one
            else:
                self.noise.setdefault((one.consistency_weight, one.flip), {})[one.seed] = one
        if self.noise:
            seeds = {seed for found in self.noise.values() for seed in found}
            clean = {s: o for s, o in self.runs.get((CALM, REFERENCE), {}).items() if s in seeds}
            if clean:
                self.noise[WEIGHT, 0.0] = clean

    @property
    def regimes(self) -> list[str]:
        return list(dict.fromkeys(regime for regime, _ in self.runs))

    def arms(self, regime: str) -> list[str]:
        return [arm for other, arm in self.runs if other == regime]

    def cell(self, regime: str, arm: str) -> Cell:
        """The figures of an arm under a regime."""
        runs = self.runs[regime, arm]
        found = [runs[seed] for seed in sorted(runs)]
        calm = self.runs.get((CALM, arm))
        changes = _differences(runs, calm) if calm and regime != CALM else []
        return Cell(
            regime=regime,
            arm=arm,
            start=found[0].held_out.start_accuracy,
            accuracy=mean_of([one.held_out.accuracy for one in found], least=0, most=1),
            change=mean_of(changes, least=-1, most=1) if changes else None,
            runs=len(found),
            collapsed=sum(one.collapsed for one in found),
            non_finite=sum(one.non_finite for one in found),
            skipped=sum(one.course.skipped for one in found),
            worst_advantage=_worst(one.course.worst_advantage for one in found),
            largest_used=_worst(one.course.largest_used for one in found),
            worst_log_ratio=_worst(one.course.worst_log_ratio for one in found),
            filtered=_average(one.course.filtered for one in found),
            preclip=_average(one.course.preclip for one in found),
            readable=sum(one.held_out.readable for one in found) / len(found),
        )

    def cells(self) -> list[Cell]:
        return [self.cell(regime, arm) for regime, arm in self.runs]

    def contrast(self, regime: str, arm: str) -> Contrast | None:
        """StableReinforce against an arm; None where they share no seed."""
        reference, other = self.runs.get((regime, REFERENCE)), self.runs.get((regime, arm))
        differences = _differences(reference, other) if reference and other else []
        if not differences:
            return None
        return Contrast(regime=regime, arm=arm, difference=mean_of(differences, least=-1, most=1))

    def contrasts(self) -> list[Contrast]:
        others = ((regime, arm) for regime, arm in self.runs if arm != REFERENCE)
        return [found for pair in others if (found := self.contrast(*pair)) is not None]

    def noisy(self) -> list[Noisy]:
        """The sweep's cells, by weight and share of mistakes."""
        return [
            _noisy(weight, flip, list(runs.values())) for (weight, flip), runs in sorted(self.noise.items())
        ]


def _noisy(weight: float, flip: float, found: Sequence[Outcome]) -> Noisy:
    shares = [one.held_out.consistent for one in found if one.held_out.consistent is not None]
    return Noisy(
        consistency_weight=weight,
        flip=flip,
        accuracy=mean_of([one.held_out.accuracy for one in found], least=0, most=1),
        consistent=mean_of(shares, least=0, most=1) if shares else None,
    )


def _differences(a: Mapping[int, Outcome], b: Mapping[int, Outcome]) -> list[float]:
    """Accuracy of a minus b for each seed that both have."""
    return [a[seed].held_out.accuracy - b[seed].held_out.accuracy for seed in sorted(a.keys() & b.keys())]


def _worst(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _average(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
