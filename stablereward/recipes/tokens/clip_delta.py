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

from dataclasses import dataclass, field
from pathlib import Path

from stablereward.lab.experiment import Claim, Experiment, arm, change, gain, growth, less, more, ratio
from stablereward.recipes import stepwise
from stablereward.recipes.problems import prompts
from stablereward.recipes.stepwise import Credit, Stepwise, works
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


EXPERIMENT = Experiment(
    says="On MATH success alone gives 30.58, with the raw process reward 11.16 (repetition), with Clip "
    "30.30, with Delta 30.68, with both 31.44: small gains, and no collapse.",
    arms={
        "both": arm("success and half of Clip, then Delta"),
        "success": arm("success alone", "credit.weight=0"),
        "sum": arm("success and half the sum", "credit.rule=sum"),
        "0.02 sum": arm("success and 0.02 of the sum", "credit.rule=sum", "credit.weight=0.02"),
        "clip": arm("success and half of Clip", "credit.rule=clip"),
        "delta": arm("success and half of Delta", "credit.rule=delta"),
        "delta, masked": arm("Delta, nothing taught where steps end", "credit.rule=delta",
                             "credit.mask_step_ends=true"),
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
        Claim("The set-up learns: success alone raises the share of right answers",
              gain("right", "success", "start_right"), "the base before training", above=0.05, positive=True),
        Claim("The sum makes solutions at least twice as long in steps",
              growth("steps", "sum", "start_steps"), "the base before training", above=2.0),
        less("The sum loses right answers", "right", "sum", "success", control="success alone"),
        Claim("How far the sum goes depends on its weight", ratio("steps", "sum", "0.02 sum"),
              "a weight of 0.02", above=1.0),
        more("Clip loses no right answers", "right", "clip", "success", -0.05, control="success alone"),
        Claim("Clip keeps the number of steps", change("steps", "clip", "start_steps"), "the sum", below=0.5),
        more("Delta loses no right answers", "right", "delta", "success", -0.05, control="success alone"),
        Claim("Delta keeps the number of steps", change("steps", "delta", "start_steps"), "the sum",
              below=0.5),
        more("Clip and Delta together lose no right answers", "right", "both", "success", -0.05,
             control="success alone"),
        Claim("Clip and Delta together keep the number of steps", change("steps", "both", "start_steps"),
              "the sum", below=0.5),
        Claim("Where nothing is taught at step ends, Delta keeps the number of steps",
              change("steps", "delta, masked", "start_steps"), "Delta unmasked", below=0.5),
    ),
    watched=((STAGE, "steps/right"), (STAGE, "steps/count")),
)  # fmt: skip
