"""What came of one run, and when a run counts as collapsed."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from stablereward.rewards.rule_referee import leads_to
from stablereward.runs.files import write_atomic
from stablereward.training.policy_gradient import Observed
from stablereward.types import Row

FILE = "outcome.json"
COLLAPSE_POINTS = 0.10
READABLE = 0.5
RULE = (
    "A run counts as collapsed where it stopped, where an update was skipped because its gradient was not "
    f"finite, where held-out accuracy is {100 * COLLAPSE_POINTS:.0f} points or more below that of its own "
    f"start, or where fewer than {100 * READABLE:.0f} % of the held-out answers can be read."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """Greedy verdicts on `n` held-out pairs in both orders; all shares are in [0, 1].

    `accuracy` is the mean of both orders, `start_accuracy` that of the judge the run began with.
    `readable` is the share of answers with a verdict, `consistent` the share of those whose analysis
    leads to it by the rule referee, without noise; None where no answer can be read.
    """

    n: int
    accuracy: float
    start_accuracy: float
    readable: float
    consistent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """Extremes and means over the updates of a run.

    `worst_advantage` is the largest |advantage| before the filter, `largest_used` the one that reached
    the loss, `worst_log_ratio` the largest finite |log pi - log pi_old|; `filtered` and `preclip` are
    mean shares of tokens; `length_change` is the mean length in the last tenth of the run over that in
    the first, minus 1. None where nothing finite was seen.
    """

    updates: int
    skipped: int
    worst_advantage: float | None
    largest_used: float | None
    worst_log_ratio: float | None
    filtered: float | None
    preclip: float | None
    min_entropy: float | None
    max_kl: float | None
    reward: float | None
    length_change: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run. `stopped` is the reason why it could not go on, None where it reached its end."""

    regime: str
    arm: str
    seed: int
    flip: float
    consistency_weight: float
    held_out: HeldOut
    course: Course
    stopped: str | None
    seconds: float

    @property
    def non_finite(self) -> bool:
        """Whether it stopped or met a gradient that is not finite."""
        return self.stopped is not None or self.course.skipped > 0

    @property
    def collapsed(self) -> bool:
        """See `RULE`."""
        lost = self.held_out.start_accuracy - self.held_out.accuracy
        # A loss of exactly ten points must not depend on the last bit of a difference.
        return self.non_finite or lost >= COLLAPSE_POINTS - 1e-9 or self.held_out.readable < READABLE


def write(folder: Path, outcome: Outcome) -> None:
    """Raises StorageError."""
    found = {**asdict(outcome), "collapsed": outcome.collapsed}
    write_atomic(folder / FILE, json.dumps(found, indent=1, allow_nan=False) + "\n")


def read(folder: Path) -> Outcome | None:
    """The outcome in a run's folder; None where there is none that can be read."""
    try:
        return TypeAdapter(Outcome).validate_json((folder / FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


class Watch:
    """Keeps the largest advantage and log-ratio that reached a loss; for `rl_loss(observe=...)`."""

    def __init__(self) -> None:
        self.advantage: float | None = None
        self.log_ratio: float | None = None

    def __call__(self, seen: Observed) -> None:
        self.advantage = _largest(self.advantage, seen.share.advantages_BT, seen.share.mask_BT)
        self.log_ratio = _largest(self.log_ratio, seen.logprobs_BT - seen.old_logprobs_BT, seen.share.mask_BT)


def _largest(known: float | None, values_BT: Tensor, mask_BT: Tensor) -> float | None:
    sizes = values_BT[mask_BT & torch.isfinite(values_BT)].abs()
    if sizes.numel() == 0:
        return known
    return max(float(sizes.max()), known or 0.0)


def course(updates: Sequence[Mapping[str, float]], watch: Watch) -> Course:
    """The figures of a run from the metrics of its updates, in their order."""

    def over(reduce: Callable[[Sequence[float]], float], name: str) -> float | None:
        finite = [row[name] for row in updates if math.isfinite(row.get(name, math.nan))]
        return reduce(finite) if finite else None

    tenth = max(1, len(updates) // 10)
    lengths = [row["completions/length"] for row in updates if "completions/length" in row]
    return Course(
        updates=len(updates),
        skipped=round(sum(row.get("update/skipped", 0.0) for row in updates)),
        worst_advantage=over(max, "advantages/max_abs"),
        largest_used=watch.advantage,
        worst_log_ratio=watch.log_ratio,
        filtered=over(_mean, "advantages/filtered"),
        preclip=over(_mean, "policy/preclip"),
        min_entropy=over(min, "policy/entropy"),
        max_kl=over(max, "policy/approx_kl"),
        reward=over(lambda values: values[-1], "reward/mean"),
        length_change=_mean(lengths[-tenth:]) / _mean(lengths[:tenth]) - 1 if lengths else None,
    )


def consistent_share(rows: Sequence[Row]) -> float | None:
    """The share of readable opinions whose analysis leads to their choice."""
    judgements = [j for row in rows for vote in row.votes for j in vote.judgements]
    led = [leads_to(j.reasoning, j.order.index(j.choice), len(j.order)) is True for j in judgements]
    return _mean(led) if led else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
