"""One run of the lab as settings, and the runs that a study is made of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stablereward.config import dump
from stablereward.lab.regimes import CALM, NOISE_FLIPS, NOISE_SEEDS, NOISE_WEIGHTS, Regime
from stablereward.ranges import NotNegative, Number, Proportion, require_ranges

WEIGHT = 0.5
"""The paper's weight of the consistency reward."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An arm under a regime from a seed, which changes the order of the prompts and the samples.

    `flip` is the share of the referee's replies that are exchanged.
    """

    regime: Regime
    arm: str
    seed: Number
    flip: Proportion = 0.0
    consistency_weight: NotNegative = WEIGHT

    def __post_init__(self) -> None:
        require_ranges(self)

    @property
    def in_ablation(self) -> bool:
        """Whether it has the paper's reward; the other runs belong to the noise sweep alone."""
        return (self.flip, self.consistency_weight) == (0.0, WEIGHT)

    @property
    def name(self) -> str:
        """The run's folder within the lab's; runs of the noise sweep stand apart."""
        if self.in_ablation:
            return f"{self.regime.name}/{self.arm}/seed-{self.seed}"
        return f"noise/flip-{self.flip:g}-weight-{self.consistency_weight:g}/seed-{self.seed}"


def is_current(folder: Path, job: Job) -> bool:
    """Whether what is in the folder was made with these very settings."""
    kept = folder / "config.yaml"
    return kept.is_file() and kept.read_bytes() == dump(job).encode()


def ablation(arms: Iterable[str], regimes: Sequence[Regime], seeds: int) -> list[Job]:
    """Every arm under every regime, seed by seed, so that an unfinished lab has whole rows first."""
    names = list(arms)
    return [
        Job(regime=regime, arm=arm, seed=seed) for seed in range(seeds) for regime in regimes for arm in names
    ]


def noise_sweep(calm: Regime = CALM, seeds: int = NOISE_SEEDS) -> list[Job]:
    """StableReinforce at every weight and share of mistakes; at weight 0 the mistakes cannot matter."""
    cells = [(w, f) for w in NOISE_WEIGHTS for f in NOISE_FLIPS if w > 0 or f == 0]
    return [
        Job(regime=calm, arm="stable_reinforce", seed=seed, flip=flip, consistency_weight=weight)
        for seed in range(seeds)
        for weight, flip in cells
    ]
