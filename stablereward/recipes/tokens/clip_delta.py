"""Clip and Delta (https://arxiv.org/abs/2410.15115): process rewards that success can be mixed with.

    problems → solutions → success at the end + weight · process rewards of the steps
    Clip: min(r - threshold, 0)      Delta: r_k - r_(k+1), the last but one its own, the last 0

A raw sum of step scores teaches to repeat good steps. Clip pays nothing for a good step; Delta makes the
return from every step its own score.

Deviations: REINFORCE++ (returns whitened over the batch) in place of PPO with a critic; the weight, Clip's
threshold and PPO's settings were not found and are ours; the process model is PURE's. Where a step's reward
is placed is from second-hand sources.

Status: toy-verified (docs/recipes/clip_delta.md); the full scale is untested.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stablereward.lab.experiment import Arm, Claim, Experiment, difference, ratio
from stablereward.recipes import stepwise
from stablereward.recipes.stepwise import Credit, Stepwise, prompts, works
from stablereward.recipes.writers import STAGE
from stablereward.training.optim import OptimConfig
from stablereward.training.policy_gradient import RLConfig

__all__ = ["EXPERIMENT", "Config", "prompts", "run", "tiny", "works"]

BOTH = Credit(
    signed=False,
    rule="clip_delta",
    weight=0.5,
    baseline="none",
    outcome_baseline="none",
    mask_step_ends=False,
    whiten=True,
)
"""Clip, then Delta, beside success."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Stepwise):
    """Qwen2.5-Math-7B-Instruct on problems with answers, Clip and Delta together."""

    model: str = "Qwen/Qwen2.5-Math-7B-Instruct"
    credit: Credit = field(default_factory=lambda: BOTH)
    rl: RLConfig = field(
        default_factory=lambda: RLConfig(
            num_updates=250,
            prompts_per_batch=64,
            num_generations=4,
            updates_per_batch=2,
            max_completion_length=2048,
            optim=OptimConfig(learning_rate=1e-6),
        )
    )
    output: Path = Path("runs/clip_delta")


def run(config: Config, *, resume: bool = False) -> Path:
    """Trains and measures; returns the run folder, with the policy in `policy/`."""
    return stepwise.run("clip_delta", config, resume=resume)


def tiny() -> Config:
    """The world of sums from its base: under a minute on two cores."""
    return stepwise.small(Config(), num_updates=60, learning_rate=1e-3)


def moved(figures: Mapping[str, float]) -> float:
    """By what share the number of steps has changed."""
    return abs(figures["steps"] / figures["start_steps"] - 1)


EXPERIMENT = Experiment(
    says="On MATH success alone gives 30.58, with the raw process reward 11.16 (repetition), with Clip "
    "30.30, with Delta 30.68, with both 31.44: small gains, and no collapse.",
    arms={
        "both": Arm(about="success and half of Clip, then Delta"),
        "success": Arm(about="success alone", changes=("credit.weight=0",)),
        "sum": Arm(about="success and half the sum", changes=("credit.rule=sum",)),
        "0.02 sum": Arm(
            about="success and 0.02 of the sum", changes=("credit.rule=sum", "credit.weight=0.02")
        ),
        "clip": Arm(about="success and half of Clip", changes=("credit.rule=clip",)),
        "delta": Arm(about="success and half of Delta", changes=("credit.rule=delta",)),
        "delta, masked": Arm(
            about="Delta, nothing taught where steps end",
            changes=("credit.rule=delta", "credit.mask_step_ends=true"),
        ),
    },
    figures={
        "right": "share of right answers to held-out problems",
        "steps": "steps of a solution to them",
        "repeated": "share of the steps that were written before",
        "empty": "share of the solutions that are empty",
        "separators": "share of the tokens that are separators",
        "steps_to_hack": "updates until right answers fall a fifth below their best",
    },
    claims=(
        Claim(says="The set-up learns: success alone raises the share of right answers", positive=True,
              measure=lambda arms: arms["success"]["right"] - arms["success"]["start_right"], above=0.05,
              control="the base before training"),
        Claim(says="The sum makes solutions at least twice as long in steps", above=2.0,
              measure=lambda arms: arms["sum"]["steps"] / arms["sum"]["start_steps"],
              control="the base before training"),
        Claim(says="The sum loses right answers", measure=difference("right", "sum", "success"), below=0.0,
              control="success alone"),
        Claim(says="How far the sum goes depends on its weight", above=1.0,
              measure=ratio("steps", "sum", "0.02 sum"), control="a weight of 0.02"),
        Claim(says="Clip loses no right answers", measure=difference("right", "clip", "success"), above=-0.05,
              control="success alone"),
        Claim(says="Clip keeps the number of steps", measure=lambda arms: moved(arms["clip"]), below=0.5,
              control="the sum"),
        Claim(says="Delta loses no right answers", measure=difference("right", "delta", "success"),
              above=-0.05, control="success alone"),
        Claim(says="Delta keeps the number of steps", measure=lambda arms: moved(arms["delta"]), below=0.5,
              control="the sum"),
        Claim(says="Clip and Delta together lose no right answers", above=-0.05,
              measure=difference("right", "both", "success"), control="success alone"),
        Claim(says="Clip and Delta together keep the number of steps", below=0.5,
              measure=lambda arms: moved(arms["both"]), control="the sum"),
        Claim(says="Where nothing is taught at step ends, Delta keeps the number of steps", below=0.5,
              measure=lambda arms: moved(arms["delta, masked"]), control="Delta unmasked"),
    ),
    watched=((STAGE, "steps/right"), (STAGE, "steps/count")),
)  # fmt: skip
