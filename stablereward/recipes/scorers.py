"""Recipes that train a scalar reward model: the run from its settings to its report, and its two worlds.

The stages are those of `recipes.scalar`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from stablereward.config import dump
from stablereward.evaluation.intervals import share_interval
from stablereward.policies.scalar import dialogue
from stablereward.policies.scalar_head import HeadConfig
from stablereward.ranges import Number, require_ranges
from stablereward.recipes import works as stages
from stablereward.recipes.scalar import STAGE, learn, measured, preferences, started, unchanged
from stablereward.recipes.sources import Data
from stablereward.recipes.stages import Hardware, Lora, stage
from stablereward.report.report import write_report
from stablereward.runs import figures
from stablereward.runs.figures import Figure
from stablereward.runs.folder import RunFolder
from stablereward.runs.progress import say
from stablereward.training.pairwise import Comparison, Measure, RewardConfig, plain
from stablereward.training.planning import Work
from stablereward.types import Preference, Prompt
from stablereward.worlds.utility import PointScorer, Utility, preferred, right


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorer:
    """What such a recipe sets. With a `utility` a head alone learns, on that world's frozen features."""

    model: str
    data: Data = field(default_factory=Data)
    output: Path
    head: HeadConfig = field(default_factory=HeadConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    utility: Utility | None = None
    lora: Lora | None = None
    hardware: Hardware = field(default_factory=Hardware)
    seed: Number = 0

    def __post_init__(self) -> None:
        require_ranges(self)


def run(
    config: Scorer,
    *,
    comparison: Comparison = plain,
    adjusted: Callable[[Measure], Measure] = unchanged,
    resume: bool,
) -> Path:
    """Trains and measures; returns the run folder, in which `judge/` is the reward model."""
    folder = RunFolder(config.output)
    with folder.running(dump(config), resume=resume):
        learnt = partial(
            learn,
            config=config.reward,
            hardware=config.hardware,
            seed=config.seed,
            comparison=comparison,
            adjusted=adjusted,
        )
        if config.utility is not None:
            scorer, world = PointScorer(config.utility.features, config.head, config.seed), config.utility
            judge = learnt(folder, lambda: scorer, preferred(world, config.seed))
            figures.write(folder.path, [_right(scorer.read(judge), world, config.seed)])
            return folder.path
        with stage(folder, "data"):
            found = preferences(folder, config.model, config.data, config.seed)
        with stage(folder, STAGE):
            start = partial(started, config.model, config.head, config.hardware, config.lora, config.seed)
            judge = learnt(folder, start, [dialogue(one) for one in found.train])
        with stage(folder, "measurement"):
            figures.write(folder.path, measured(folder, judge, found.held_out, config.hardware))
        say(f"report: {write_report(folder.path, tell=say)}")
    return folder.path


def _right(scorer: PointScorer, world: Utility, seed: int) -> Figure:
    rows = np.array(right(scorer, world, seed), dtype=np.float64)
    low, high = share_interval(rows, [""] * len(rows))
    about = "share of held-out pairs whose better point scores higher"
    return Figure(name="accuracy", value=float(rows.mean()), about=about, low=low, high=high, n=len(rows))


def works(config: Scorer) -> list[Work]:
    """The stages as a planner of memory sees them, two responses of 512 tokens to a question."""
    return [stages.comparing(STAGE, config, config.reward, responses=2, completion=512)]


def asked(preference: Preference) -> Prompt:
    """What is read before the responses, for the planner."""
    return dialogue(preference).prompt
