"""Policies of texts on prompts, rewarded by a scalar model or by a world: what such recipes share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from stablereward.engines.engine import Sampling
from stablereward.policies.token import TokenPolicy
from stablereward.ranges import Count, Number, require_ranges
from stablereward.recipes import writers
from stablereward.recipes.completions import measured
from stablereward.recipes.rounds import chosen_gap
from stablereward.recipes.stages import Hardware, Lora
from stablereward.recipes.writers import asked, require_asked
from stablereward.rewards.reward import GroupReward
from stablereward.rewards.scored import scored_by
from stablereward.runs.figures import Figure
from stablereward.runs.folder import RunFolder
from stablereward.training.collect import Monitor
from stablereward.training.learner import Learner
from stablereward.types import Prompt
from stablereward.worlds.captions import task


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompted:
    """What a recipe of rewarded prompts sets; its `Config` has the paper's model and reward.

    The prompts are those of a file (docs/data.md), of which `num_held_out` are measured on; the reward is a
    scalar model's. With `captions` both are the world's.
    """

    model: str
    data: Path | None = None
    reward_model: str
    captions: bool = False
    num_held_out: Count = 256
    lora: Lora | None = None
    hardware: Hardware = field(default_factory=Hardware)
    output: Path
    seed: Number = 0

    def __post_init__(self) -> None:
        require_ranges(self)


Make = Callable[[RunFolder, TokenPolicy, GroupReward], Learner]
"""What trains the policy by the reward."""

SHOWN = {
    "reward": ("reward/mean", "mean reward of four samples to each held-out prompt"),
    "entropy": ("policy/entropy", "mean entropy of a token of them, in nats"),
    "length": ("completions/length", "their mean length in tokens"),
}
CAPTIONS = {"well_formed": (task.WELL_FORMED, "the share of them that the grammar has")}


def prompts(config: Prompted, *, held_out: bool = False) -> list[Prompt]:
    """Those to train on, or those to measure on; none where no file is named."""
    if config.captions:
        return task.prompts(config.num_held_out if held_out else 2048, seed=config.seed, held_out=held_out)
    return [question.prompt for question in asked(config.data, config.num_held_out, config.seed)[held_out]]


def reward(config: Prompted) -> GroupReward:
    """A caption's worth, or the score of the reward model."""
    return task.reward if config.captions else scored_by(config.reward_model, device=config.hardware.device)


def monitors(config: Prompted) -> dict[str, Monitor]:
    """What is watched of the samples."""
    return dict(task.MONITORS) if config.captions else {}


def course(rows: Sequence[Mapping[str, float]]) -> list[Figure]:
    """What was chosen over the whole run, in the world of captions."""
    if f"chosen/{task.DEMAND}" not in rows[0]:
        return []
    about = "required words of the prompts that were chosen, more than of all"
    return [Figure(name="demand_gap", value=chosen_gap(rows, task.DEMAND), about=about)]


def run(name: str, config: Prompted, make: Make, sampling: Sampling, *, resume: bool) -> Path:
    """Trains and measures with four samples a prompt; returns the run folder, with `policy/` in it."""
    held_out = prompts(config, held_out=True)
    require_asked(held_out)
    judge = reward(config)
    drawing = replace(sampling, num_generations=4, seed=config.seed)
    return writers.run(
        name,
        config,
        lambda folder, policy: make(folder, policy, judge),
        lambda policy: measured(policy, held_out, judge, drawing, monitors(config)),
        SHOWN | CAPTIONS if config.captions else SHOWN,
        course=course,
        resume=resume,
    )
