"""PURE (https://arxiv.org/abs/2504.15275): a solution is worth its worst step, so repeating pays nothing.

    problems → G solutions each → a process model scores every step → w_i r_i with w = softmax(-r / T)
             → return to go, less the others' reward a token → PPO's clip → update

The weighted scores add up to about their minimum: a bound that no number of good steps can raise. A share of
the problems has answers, and a right one earns 1 at the end token, against the group's others.

Deviations: the token baseline counts a step's separator as one of its tokens, which the released code does
not; the step baseline divides the others' reward by all their steps, where the code averages each one's mean.
The code zeroes the advantage wherever a step ends, the end token included, which the paper does not say;
`credit.mask_step_ends` does so here. The number of updates is one pass over the 8000 problems.

Status: toy-verified (docs/recipes/pure.md); the full scale is untested.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from stablereward.lab.experiment import Arm, Claim, Experiment, difference
from stablereward.recipes import stepwise
from stablereward.recipes.stepwise import Credit, Stepwise, prompts, works
from stablereward.recipes.writers import STAGE
from stablereward.training.optim import OptimConfig
from stablereward.training.policy_gradient import RLConfig

__all__ = ["EXPERIMENT", "Config", "prompts", "run", "tiny", "works"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Stepwise):
    """The settings of the released main branch: 4 solutions to 64 problems, two updates, once over 8000."""

    credit: Credit = field(default_factory=lambda: Credit(beta=1e-3))
    rl: RLConfig = field(
        default_factory=lambda: RLConfig(
            num_updates=250,
            prompts_per_batch=64,
            num_generations=4,
            updates_per_batch=2,
            temperature=0.5,
            max_completion_length=2048,
            optim=OptimConfig(learning_rate=5e-7),
        )
    )
    output: Path = Path("runs/pure")


def run(config: Config, *, resume: bool = False) -> Path:
    """Trains and measures; returns the run folder, with the policy in `policy/`."""
    return stepwise.run("pure", config, resume=resume)


def tiny() -> Config:
    """The world of sums from its base, answers for a tenth: under a minute on two cores."""
    return replace(
        stepwise.small(Config(), num_updates=100, learning_rate=5e-4), labelled=0.1, credit=Credit()
    )


def _min(about: str, *changes: str) -> Arm:
    return Arm(about=f"PURE without answers{about}", changes=("labelled=0", *changes))


EXPERIMENT = Experiment(
    says="Credit by the minimum reaches 49.3 on five benchmarks without answers and 53.3 with answers to a "
    "tenth, verified answers alone 48.3. The sum collapses at once; without answers hacking begins by update "
    "200, with few steps and empty endings.",
    arms={
        "min + 10 %": Arm(about="PURE with answers to a tenth of the problems"),
        "10 %": Arm(about="answers to a tenth of the problems alone", changes=("credit.weight=0",)),
        "min": _min(""),
        "min, step": _min(", step baseline", "credit.baseline=step"),
        "min, unmasked": _min(", step ends not masked", "credit.mask_step_ends=false"),
        "mean": _min(", mean in place of min", "credit.rule=mean"),
        "sum": _min(", sum in place of min", "credit.rule=sum"),
        "sum, unmasked": _min(
            ", sum in place of min, step ends not masked", "credit.rule=sum", "credit.mask_step_ends=false"
        ),
        "answers": Arm(about="answers to all problems alone", changes=("labelled=1", "credit.weight=0")),
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
        Claim(says="The set-up learns: answers to all raise the right ones", positive=True, above=0.05,
              measure=lambda arms: arms["answers"]["right"] - arms["answers"]["start_right"],
              control="the base before training"),
        Claim(says="The sum collapses: right answers fall below four fifths of the base's", below=0.8,
              measure=lambda arms: arms["sum"]["right"] / arms["sum"]["start_right"],
              control="the base before training"),
        Claim(says="So it does without the mask", below=0.8,
              measure=lambda arms: arms["sum, unmasked"]["right"] / arms["sum, unmasked"]["start_right"],
              control="the base before training"),
        Claim(says="The minimum is stable for longer than the sum", above=0.0,
              measure=difference("steps_to_hack", "min", "sum"), control="the sum with the same baseline"),
        Claim(says="So it is without the mask", above=0.0,
              measure=difference("steps_to_hack", "min, unmasked", "sum, unmasked"), control="the same"),
        Claim(says="The step baseline makes fewer steps", below=0.0,
              measure=difference("mean_steps", "min, step", "min"), control="the token baseline"),
        Claim(says="The minimum adds right answers to answers for a tenth", above=0.0,
              measure=difference("right", "min + 10 %", "10 %"), control="these answers alone"),
        Claim(says="Without the mask separators become more probable", above=0.0,
              measure=difference("separators", "min, unmasked", "min"), control="the mask"),
        Claim(says="Without the mask hacking begins sooner", below=0.0,
              measure=difference("steps_to_hack", "min, unmasked", "min"), control="the mask"),
    ),
    watched=((STAGE, "steps/right"), (STAGE, "steps/count"), (STAGE, "steps/empty")),
)  # fmt: skip
