"""DPA (https://arxiv.org/abs/2402.18571): one policy for all wishes, told in its prompt as a direction.

    v = (cos θ, sin θ) over helpfulness and verbosity, θ from -45° to 0, in the system prompt
    prompt and v → 16 answers → that of the highest v·r imitated, given both → the next iteration

`method` "conditional" is the paper's. The others have as many samples and updates: "separate" has one policy
a direction, in the world alone; "once" draws and chooses everything from the start; "any" imitates any of the
16; "shuffled" chooses by the direction of another prompt of the round.

Deviations: the paper regresses ten attributes with one head; here each of the two that it steers by is a
scalar model's. They are weighed as v·r; whether the paper divides by the norm of r was not found, nor the
rate and the batch of its imitation. Its front is that of the model that chose; the world has the true one.

Status: toy-verified (docs/recipes/dpa.md); the full scale is untested.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stablereward.engines.engine import Sampling
from stablereward.lab.experiment import Claim, Experiment, arm, difference, gain, level, more
from stablereward.recipes import steered
from stablereward.recipes.rounds import AnyGroup
from stablereward.recipes.stages import Hardware
from stablereward.recipes.steered import STAGE, Steered, prompts, weighed, works
from stablereward.training.imitation import SFTConfig
from stablereward.training.optim import constant
from stablereward.training.select import any_of_each, best_of_each
from stablereward.worlds.wishes import Wishes

__all__ = ["EXPERIMENT", "Config", "prompts", "run", "tiny", "works"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Steered):
    """The paper's 4 iterations, 10 directions and 16 answers. Name a model for each objective."""

    model: str = "HuggingFaceH4/mistral-7b-sft-beta"
    output: Path = Path("runs/dpa")
    method: Literal["conditional", "separate", "once", "any", "shuffled"] = "conditional"
    sampling: Sampling = field(
        default_factory=lambda: Sampling(num_generations=16, max_completion_length=1024)
    )


def chosen(groups: Sequence[AnyGroup], seed: int, config: Config) -> list[AnyGroup]:
    """What is imitated of a round."""
    if config.method == "any":
        return any_of_each(groups, seed)
    if config.method == "shuffled":
        dealt = [group.prompt.degrees for group in groups]
        random.Random(seed).shuffle(dealt)
        groups = [weighed(group, degrees) for group, degrees in zip(groups, dealt, strict=True)]
    return best_of_each(groups)


def run(config: Config, *, resume: bool = False) -> Path:
    """Trains in rounds; returns the run folder, with the policy in `policy/`."""
    return steered.run(
        "dpa",
        config,
        lambda groups, seed: chosen(groups, seed, config),
        apart=config.method == "separate",
        at_once=config.method == "once",
        resume=resume,
    )


def tiny() -> Config:
    """One menu of 200 answers: a second on one core."""
    return Config(
        wishes=Wishes(),
        prompts_per_round=200,
        sampling=Sampling(num_generations=16),
        imitation=SFTConfig(epochs=10.0, batch_size=50, optim=constant(0.01)),
        hardware=Hardware(device="cpu", save_every=100),
    )


EXPERIMENT = Experiment(
    says="The front of helpfulness and verbosity moves outward with each of four iterations, and lies "
    "beyond those of SFT, DPO and SteerLM, by the reward model's own scores.",
    arms={
        "conditional": arm("one policy, 4 rounds"),
        "separate": arm("one policy for each direction", "method=separate"),
        "once": arm("all samples drawn and chosen from the start", "method=once"),
        "any": arm("any of the 16 imitated", "method=any"),
        "shuffled": arm("chosen by the direction of another prompt", "method=shuffled"),
        "ends": arm("the two outermost directions alone", "num_directions=2"),
    },
    figures={
        "hypervolume": "area that the mean answers in 19 directions dominate, in that of all answers",
        "hypervolume_start": "the same before training",
        "span": "by how much verbosity differs between directions, where 1 is the radius of the disc",
        "monotone": "share of the pairs of directions whose verbosities are in order",
        "unseen": "mean true v·r at -22.5°, which is in no arm's training",
        "overrated": "mean v·r by the model that chose, less the true one",
    },
    claims=(
        Claim("The set-up can be learnt: the front moves outward",
              gain("hypervolume", "conditional", "hypervolume_start"), "the policy before training",
              above=0.1, positive=True),
        more("Choosing is what helps", "hypervolume", "conditional", "any",
             control="any of the same samples"),
        Claim("The second round moves the front outward",
              gain("hypervolume_2", "conditional", "hypervolume_1"), "the round before", above=0.0),
        Claim("The fourth round still does", gain("hypervolume", "conditional", "hypervolume_3"),
              "the round before", above=0.0),
        more("Rounds are worth more than one choice from the start", "hypervolume", "conditional", "once",
             control="equal samples and updates, chosen once"),
        more("One policy is worth more than one for each direction", "hypervolume", "conditional",
             "separate", control="equal samples and updates, divided among ten policies"),
        Claim("Verbosity follows θ", level("monotone", "conditional"), "no order, which is 0.5", above=0.95),
        Claim("With directions shuffled θ moves verbosity by less than a fifth of what it does",
              lambda arms: arms["shuffled"]["span"] / arms["conditional"]["span"],
              "a policy that is steered all the same", below=0.2),
        Claim("A direction between two that were trained is served as they are",
              gain("unseen", "conditional", "neighbours"), "its neighbours, each at its own direction",
              above=-0.05),
        Claim("Between the two ends alone it is served better than by either end's answers",
              gain("unseen", "ends", "nearest"), "the better of both ends' answers, valued at -22.5°",
              above=0.0),
        Claim("Ten directions serve it better than the two ends", difference("unseen", "conditional", "ends"),
              "two directions at equal samples", above=0.0),
        Claim("The model that chose overrates the front", level("overrated", "conditional"),
              "a front that is as good as it is rated", above=0.0),
    ),
    watched=((STAGE, "reward/mean"), (STAGE, "reward/chosen")),
    notes="Ten directions and 200 answers, 200 draws of 16 in each of four rounds. How the set-up was "
    "chosen: claims and thresholds were written first. In the first world both objectives were normal, "
    "with a correlation of .7; on seed 100, which is not among the seeds here, one answer was best in all "
    "directions, so that there was nothing to steer. The disc took its place, and three arms (conditional, "
    "separate, shuffled) were seen on it once, on seed 100. Who chooses by a rating that errs overrates "
    "what is chosen, so that the last claim is a check of the set-up.",
)  # fmt: skip
