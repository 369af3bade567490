"""What a run does when it goes wrong: name the sample, leave it out, stop, or go back."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ValidationError

from stablereward.errors import ConfigError, ModelError, TrainingError
from stablereward.ranges import (
    Count,
    Finite,
    NotNegative,
    Number,
    Positive,
    Proportion,
    Range,
    require_ranges,
)
from stablereward.runs.folder import RunFolder
from stablereward.runs.metrics import as_mean
from stablereward.training.signal import Signal

NUM_NORMS = 50
MIN_NORMS = 10
"""A median of fewer gradient norms says too little to skip an update for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """When a run has collapsed: a rule is broken in `patience` updates in a row. None is no rule.

    Bounds are on the mean reward, the entropy and approx_kl in nats, the mean length in tokens and the
    share of samples that the length limit cut; updates that are skipped are always counted. Then the run
    stops, or goes back to the newest checkpoint taken while no rule was broken, with `rollback_factor`
    times the learning rate, and stops after `max_rollbacks` of these.
    """

    action: Literal["stop", "rollback"] = "stop"
    patience: Count = 10
    min_reward: Finite | None = None
    min_entropy: NotNegative | None = None
    max_entropy: Positive | None = 4.0
    max_approx_kl: Positive | None = 1.0
    min_length: NotNegative | None = 2.0
    max_clipped: Proportion | None = 0.98
    rollback_factor: Annotated[float, Range(0, 1, above=True)] = 0.5
    max_rollbacks: Number = 2

    def __post_init__(self) -> None:
        require_ranges(self)
        lowest, highest = self.min_entropy, self.max_entropy
        if lowest is not None and highest is not None and lowest >= highest:
            raise ConfigError(f"min_entropy is {lowest}; it must be below max_entropy, which is {highest}")


class _Notes(BaseModel):
    """What a checkpoint keeps of a guard."""

    factor: float = 1.0
    rollbacks: int = 0
    good: int | None = None
    broken: dict[str, int] = {}
    norms: dict[str, list[float]] = {}
    signal: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Rule:
    """A metric and its bound; `above` says on which side it is broken."""

    name: str
    metric: str
    bound: float
    above: bool

    def broken(self, metrics: Mapping[str, float]) -> float | None:
        """The value where it lies beyond the bound. Sums over tokens are taken as means."""
        value = as_mean(metrics, self.metric)
        if value is None:
            return None
        return value if (value > self.bound if self.above else value < self.bound) else None


def rules(protection: Protection) -> list[Rule]:
    """The rules that have a bound, and the one on skipped updates."""
    bounds = (
        ("min_reward", "reward/mean", protection.min_reward, False),
        ("min_entropy", "policy/entropy", protection.min_entropy, False),
        ("max_entropy", "policy/entropy", protection.max_entropy, True),
        ("max_approx_kl", "policy/approx_kl", protection.max_approx_kl, True),
        ("min_length", "completions/length", protection.min_length, False),
        ("max_clipped", "completions/clipped", protection.max_clipped, True),
        ("skipped", "update/skipped", 0.0, True),
    )
    return [Rule(name, metric, bound, above) for name, metric, bound, above in bounds if bound is not None]


class Guard:
    """Watches the updates of a stage. All it remembers is in `notes`, which checkpoints keep.

    `whole` updates belong together, as those of one collection: a rule that one of them breaks is broken
    in all, and checkpoints come between. Learners of one stage share a guard: what rolls one back rolls
    back all. Without `protection` nothing but gradient norms is watched.
    """

    def __init__(
        self,
        run: RunFolder,
        stage: str,
        protection: Protection | None = None,
        *,
        whole: int = 1,
    ) -> None:
        self.run, self.stage, self.protection, self.whole = run, stage, protection, whole
        self.rules = [] if protection is None else rules(protection)
        self.factor, self.rollbacks = 1.0, 0
        self.good: int | None = None
        self.broken: dict[str, int] = {}
        self._beyond: dict[str, float] = {}
        self.norms: dict[str, deque[float]] = {}
        self.signal = Signal(run, stage, whole)

    @property
    def goes_back(self) -> bool:
        """Whether it may ask for a rollback, for which there must be a checkpoint."""
        return self.protection is not None and self.protection.action == "rollback"

    def notes(self) -> dict[str, Any]:
        """What a resumed run must know."""
        return {
            "factor": self.factor,
            "rollbacks": self.rollbacks,
            "good": self.good,
            "broken": self.broken,
            "norms": {learner: list(norms) for learner, norms in self.norms.items()},
            "signal": self.signal.notes(),
        }

    def recall(self, notes: Mapping[str, Any]) -> None:
        """Goes on from the notes of a checkpoint, which may have none. Raises ModelError for damaged ones."""
        try:
            known = _Notes.model_validate(notes)
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            raise ModelError(
                f"the notes of the newest checkpoint of {self.stage} are damaged ({where}); "
                "remove its folder and resume"
            ) from None
        self.factor, self.rollbacks = known.factor, known.rollbacks
        self.good, self.broken = known.good, known.broken
        self.norms = {learner: deque(own, maxlen=NUM_NORMS) for learner, own in known.norms.items()}
        self.signal.recall(known.signal)

    def accept(self, update: int, norm: float, ratio: float | None, learner: str = "") -> bool:
        """Whether a finite gradient norm is within its `ratio` to the median of the learner's before it."""
        norms = self.norms.setdefault(learner, deque(maxlen=NUM_NORMS))
        known = list(norms)
        norms.append(norm)
        if ratio is None or len(known) < MIN_NORMS:
            return True
        bound = ratio * median(known)
        if bound == 0 or norm <= bound:
            return True
        self.run.event("exploding_gradient", stage=self.stage, update=update, value=norm, bound=bound)
        return False

    def figures(self) -> dict[str, float]:
        """What it adds to an update's metrics."""
        return {} if self.protection is None else {"learning_rate/factor": self.factor}

    def collapsed(self, update: int, metrics: Mapping[str, float]) -> bool:
        """Counts broken rules; where the run has collapsed says so in an event and asks for a rollback.

        Hears whether rewards still vary (`Signal`). Raises TrainingError where it is to stop.
        """
        self.signal.watch(update, metrics)
        if self.protection is None:
            return False
        for rule in self.rules:
            value = rule.broken(metrics)
            if value is not None:
                self._beyond[rule.name] = value
        if update % self.whole:
            return False
        beyond, self._beyond = self._beyond, {}
        self.broken = {name: self.broken.get(name, 0) + self.whole for name in beyond}
        fired = [
            r for r in self.rules if r.name in beyond and self.broken[r.name] >= self.protection.patience
        ]
        if not fired:
            return False
        rule, value = fired[0], beyond[fired[0].name]
        self.run.event(
            "collapse", stage=self.stage, update=update, rule=rule.name, value=value, bound=rule.bound
        )
        if self.goes_back and self.good is not None and self.rollbacks < self.protection.max_rollbacks:
            return True
        kept = (
            ""
            if self.good is None
            else f"; the last good weights are checkpoints/{self.stage}-{self.good:06d}"
        )
        again = f" after {self.rollbacks} rollbacks" if self.rollbacks else ""
        raise TrainingError(
            f"the run has collapsed{again}: {rule.metric} is {value:.4g}, beyond the bound {rule.bound:.4g} "
            f"of rule {rule.name} for {self.protection.patience} updates; look at the report{kept}"
        )

    def saving(self, update: int) -> None:
        """A checkpoint is to be written: it is a good one where no rule is broken."""
        if not self.broken:
            self.good = update

    def rolled_back(self, update: int) -> None:
        """The weights are those of the good checkpoint again."""
        assert self.protection is not None
        self.broken = {}
        self.factor *= self.protection.rollback_factor
        self.rollbacks += 1
        self.run.event(
            "rollback",
            stage=self.stage,
            update=update,
            to_update=self.good,
            learning_rate_factor=self.factor,
        )
