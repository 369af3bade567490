"""An experiment as data, beside the recipe that it is about: arms, figures and claims fixed beforehand."""

import math
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal

from stablereward.lab.statistics import Mean, mean_of

Figures = Mapping[str, float]
"""What one run measured, by name."""

Measure = Callable[[Mapping[str, Figures]], float]
"""One number of one seed, from the figures of every arm."""

Verdict = Literal["shown", "not shown", "refuted", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to run the recipe: `changes` of its `tiny()` settings as `--set` takes them."""

    about: str
    changes: tuple[str, ...] = ()


def arm(about: str, *changes: str) -> Arm:
    """What the arm is, and its changes."""
    return Arm(about=about, changes=changes)


@dataclass(frozen=True)
class Claim:
    """What must be seen: `measure`, averaged over the seeds, beyond a threshold set before any run.

    Exactly one of `above` and `below` is given. `control` says in words what could have refuted it. A
    `positive` claim tests the set-up itself: where it is not shown, nothing else can be read from the runs.
    """

    says: str
    measure: Measure
    control: str
    _: KW_ONLY
    above: float | None = None
    below: float | None = None
    unit: str = ""
    positive: bool = False

    def __post_init__(self) -> None:
        if (self.above is None) == (self.below is None):
            raise ValueError(f"claim {self.says!r}: give one of above and below")

    @property
    def threshold(self) -> str:
        """The threshold in words."""
        return f"above {self.above:g}" if self.above is not None else f"below {self.below:g}"


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """The evidence that a recipe's claim is put to.

    says: what the paper reports, with its numbers.
    arms: by name; the method itself first.
    figures: those of a run that the page shows, each with what it is.
    claims: tested on every seed.
    watched: metrics of the updates that are drawn as curves, by stage and name ("rl", "reward/mean").
    """

    says: str
    arms: Mapping[str, Arm]
    figures: Mapping[str, str]
    claims: tuple[Claim, ...]
    watched: tuple[tuple[str, str], ...] = ()
    notes: str = ""


@dataclass(frozen=True, kw_only=True)
class Tested:
    """A claim with its mean over seeds and the 95 % interval of Student's t."""

    claim: Claim
    mean: Mean | None
    verdict: Verdict
    values: tuple[float, ...] = field(default=())


def tested(claim: Claim, seeds: Mapping[int, Mapping[str, Figures]]) -> Tested:
    """Shown where the whole interval lies beyond the threshold, refuted where all of it lies short of it.

    `seeds` are the figures of every arm by seed. A seed for which the measure has no value (an arm is
    missing, or something is not finite) is left out; unknown with fewer than two. Seeds that are equal to
    the last bit have no interval: then their value decides.
    """
    values = []
    for _, arms in sorted(seeds.items()):
        try:
            value = claim.measure(arms)
        except (KeyError, ZeroDivisionError):
            continue
        if math.isfinite(value):
            values.append(value)
    if len(values) < 2:
        return Tested(claim=claim, mean=None, verdict="unknown", values=tuple(values))
    mean = mean_of(values)
    low, high = (mean.value if end is None else end for end in (mean.low, mean.high))
    if claim.above is not None:
        shown, refuted = low > claim.above, high < claim.above
    else:
        assert claim.below is not None
        shown, refuted = high < claim.below, low > claim.below
    verdict: Verdict = "shown" if shown else "refuted" if refuted else "not shown"
    return Tested(claim=claim, mean=mean, verdict=verdict, values=tuple(values))


def level(figure: str, arm: str) -> Measure:
    """The figure of one arm."""
    return lambda arms: arms[arm][figure]


def difference(figure: str, arm: str, than: str) -> Measure:
    """The figure of an arm minus that of another, from the same seed."""
    return lambda arms: arms[arm][figure] - arms[than][figure]


def ratio(figure: str, arm: str, to: str) -> Measure:
    """The figure of an arm over that of another, from the same seed."""
    return lambda arms: arms[arm][figure] / arms[to][figure]


def equal(figure: str, arm: str, other: str) -> Measure:
    """1 where the figure of two arms is the same to the last bit, else 0."""
    return lambda arms: float(arms[arm][figure] == arms[other][figure])


def gain(figure: str, arm: str, over: str) -> Measure:
    """The figure of an arm minus another figure of the same arm, such as that before training."""
    return lambda arms: arms[arm][figure] - arms[arm][over]


def growth(figure: str, arm: str, over: str) -> Measure:
    """The figure of an arm in units of another figure of the same arm."""
    return lambda arms: arms[arm][figure] / arms[arm][over]


def change(figure: str, arm: str, over: str) -> Measure:
    """By what share of `over` the figure is another, whether it is more or less."""
    return lambda arms: abs(arms[arm][figure] / arms[arm][over] - 1)


def more(says: str, figure: str, arm: str, than: str, by: float = 0.0, *, control: str = "") -> Claim:
    """The figure of an arm is more than that of another, which is the control where no other is named."""
    return Claim(says, difference(figure, arm, than), control or than, above=by)


def less(says: str, figure: str, arm: str, than: str, by: float = 0.0, *, control: str = "") -> Claim:
    """The figure of an arm, less that of another, is below `by`: 0, or less than nothing."""
    return Claim(says, difference(figure, arm, than), control or than, below=by)
