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

from stablereward.lab.experiment import Arm, Claim, Experiment, arm, gain, growth, less, more
from stablereward.recipes import stepwise
from stablereward.recipes.problems import prompts
from stablereward.recipes.stepwise import Credit, Stepwise, works
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


SUM, UNMASKED = "credit.rule=sum", "credit.mask_step_ends=false"


def _unanswered(about: str, *changes: str) -> Arm:
    """An arm without answers."""
    return arm(f"PURE without answers{about}", "labelled=0", *changes)


EXPERIMENT = Experiment(
    says="Credit by the minimum reaches 49.3 on five benchmarks without answers and 53.3 with answers to a "
    "tenth, verified answers alone 48.3. The sum collapses at once; without answers hacking begins by update "
    "200, with few steps and empty endings.",
    arms={
        "min + 10 %": arm("PURE with answers to a tenth of the problems"),
        "10 %": arm("answers to a tenth of the problems alone", "credit.weight=0"),
        "min": _unanswered(""),
        "min, step": _unanswered(", step baseline", "credit.baseline=step"),
        "min, unmasked": _unanswered(", step ends not masked", UNMASKED),
        "mean": _unanswered(", mean in place of min", "credit.rule=mean"),
        "sum": _unanswered(", sum in place of min", SUM),
        "sum, unmasked": _unanswered(", sum in place of min, step ends not masked", SUM, UNMASKED),
        "answers": arm("answers to all problems alone", "labelled=1", "credit.weight=0"),
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
        Claim("The set-up learns: answers to all raise the right ones",
              gain("right", "answers", "start_right"), "the base before training", above=0.05, positive=True),
        Claim("The sum collapses: right answers fall below four fifths of the base's",
              growth("right", "sum", "start_right"), "the base before training", below=0.8),
        Claim("So it does without the mask", growth("right", "sum, unmasked", "start_right"),
              "the base before training", below=0.8),
        more("The minimum is stable for longer than the sum", "steps_to_hack", "min", "sum",
             control="the sum with the same baseline"),
        more("So it is without the mask", "steps_to_hack", "min, unmasked", "sum, unmasked",
             control="the same"),
        less("The step baseline makes fewer steps", "mean_steps", "min, step", "min",
             control="the token baseline"),
        more("The minimum adds right answers to answers for a tenth", "right", "min + 10 %", "10 %",
             control="these answers alone"),
        more("Without the mask separators become more probable", "separators", "min, unmasked", "min",
             control="the mask"),
        less("Without the mask hacking begins sooner", "steps_to_hack", "min, unmasked", "min",
             control="the mask"),
    ),
    watched=((STAGE, "steps/right"), (STAGE, "steps/count"), (STAGE, "steps/empty")),
)  # fmt: skip
