"""AlignProp (https://arxiv.org/abs/2310.03739): a reward's gradient through the sampler, cut off at random.

    prompts → DDIM with noise, 50 steps → decoder → differentiable reward → back through the decoder and the
    last K steps, K drawn anew for each update → adapters in the UNet's attention

Through all steps the generator learns to cheat the reward; a random K is the paper's remedy. Memory:
adapters, and each step computed again for its gradient.

Deviations: one K an update, at least 1 (the authors' code draws one a roll-out, 16 an update); the reward is
PickScore, a CLIP model, as HPSv2's weights are not in transformers' form, in HPSv2's loss, 0.01 (1 - score).
The released code does otherwise than the paper: its window is "gaussian", whose first step is near 42 of 50,
so that early steps are never trained (scaled here to other numbers of steps). TRL's port is "per_step".

Status: toy-verified (docs/recipes/alignprop.md); the full scale is untested.
"""

import pathlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from stablereward.config import dump
from stablereward.lab.experiment import Claim, Experiment, arm, gain, growth, level, more, ratio
from stablereward.policies.diffusion import DiffusionPolicy, Path, denoising
from stablereward.policies.policy import Drawn
from stablereward.ranges import Count, Number, Positive, require_ranges
from stablereward.recipes.diffusion import ddpo, memory, pictures
from stablereward.recipes.diffusion.ddpo import Ddpo
from stablereward.recipes.stages import Hardware
from stablereward.rewards.differentiable import DifferentiableReward
from stablereward.runs.folder import RunFolder
from stablereward.training.learner import Learner
from stablereward.training.planning import Stated
from stablereward.training.protection import Protection
from stablereward.training.reward_gradient import Piece, RewardGradientConfig, reward_gradient
from stablereward.types import Prompt

ADAM = replace(ddpo.ADAM, learning_rate=1e-3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The authors' settings. `last` is K of "last", which is DRaFT-K; `ddpo` trains by that baseline."""

    task: pictures.Task = field(default_factory=pictures.Task)
    window: Literal["uniform", "gaussian", "per_step", "last", "full"] = "uniform"
    last: Count = 1
    detach_input: bool = False
    coefficient: Positive = 0.01
    training: RewardGradientConfig = field(default_factory=lambda: RewardGradientConfig(optim=ADAM))
    ddpo: Ddpo | None = None
    hardware: Hardware = field(default_factory=lambda: Hardware(gradient_checkpointing=True))
    protection: Protection = field(default_factory=Protection)
    output: pathlib.Path = pathlib.Path("runs/alignprop")
    seed: Number = 0

    def __post_init__(self) -> None:
        require_ranges(self)


def grad_steps(config: Config, num_steps: int, update: int) -> set[int]:
    """The steps of an update through which the gradient passes: a function of the seed and its number."""
    rng = random.Random(f"{config.seed}/{update}")
    if config.window == "per_step":
        return {step for step in range(num_steps) if step >= rng.randrange(num_steps)}
    first = {
        "uniform": rng.randrange(num_steps),
        "gaussian": min(num_steps - 1, max(1, int(rng.gauss(42 / 50, 5 / 50) * num_steps))),
        "last": max(0, num_steps - config.last),
        "full": 0,
    }[config.window]
    return set(range(first, num_steps))


def learner(run: RunFolder, policy: DiffusionPolicy, reward: DifferentiableReward,
            prompts: Sequence[Prompt], config: Config) -> Learner:  # fmt: skip
    """coefficient · (1 - reward), down its gradient."""

    def draw(piece: Piece) -> Drawn[Path]:
        steps = grad_steps(config, policy.num_steps, piece.update)
        return policy.draw(piece.prompts, piece.seeds, grad_steps=steps, detach_input=config.detach_input)

    return reward_gradient(run, "rl", policy, denoising(policy), draw, reward, prompts, config.training,
        config.seed, price=lambda rewards_B: config.coefficient * (1 - rewards_B))  # fmt: skip


def run(config: Config, *, resume: bool = False) -> pathlib.Path:
    """Trains and measures; returns the run folder."""
    own, baseline = partial(learner, config=config), partial(ddpo.learner, seed=config.seed)
    make: pictures.Make = own if config.ddpo is None else partial(baseline, config=config.ddpo)
    return pictures.run(config, make, dump(config), resume=resume)


def plan(config: Config, *, gpu: bool) -> Stated:
    """What `stablereward doctor --plan` says of it; the longest window of a thousand updates counts."""
    if config.ddpo is not None:
        return ddpo.planned(config, config.ddpo.rl, gpu=gpu)
    longest = max(len(grad_steps(config, config.task.drawing.num_steps, n)) for n in range(1, 1001))
    return memory.plan(config, gpu=gpu, at_once=config.training.at_once, steps=longest, through_decoder=True)


def tiny() -> Config:
    """The mean level of a quadrant in the world of shapes: under a minute on two cores."""
    quick = RewardGradientConfig(num_updates=30, prompts_per_batch=8, num_generations=4, at_once=32,
                                 optim=replace(ADAM, learning_rate=3e-3))  # fmt: skip
    return Config(task=pictures.tiny(), training=quick, hardware=Hardware(device="cpu"))


_DDPO = ("num_updates=30", "prompts_per_batch=8", "num_generations=4", "updates_per_batch=1",
         "token_budget=320", "optim.learning_rate=0.003")  # fmt: skip
_CLS = ("task.reward=cls", "task.level=-0.6", "training.num_updates=40",
        "training.optim.learning_rate=0.01")  # fmt: skip
EXPERIMENT = Experiment(
    says="HPSv2 0.28 after 48 minutes, where DDPO takes 23 hours; through all steps the generator collapses "
    "within two epochs, through a random last part it does not.",
    arms={
        "alignprop": arm("bright quadrant, gradient through a random last part"),
        "ddpo": arm("the same by policy gradient", *(f"ddpo.rl.{one}" for one in _DDPO)),
        "cls-full": arm("classifier, gradient through all steps", *_CLS, "window=full"),
        "cls-uniform": arm("classifier, through a random last part", *_CLS),
        "cls-last": arm("classifier, through the last step: DRaFT-1", *_CLS, "window=last"),
    },
    figures={
        "reward": "the proxy after: level of the quadrant, or log-probability of the class",
        "rule": "the oracle after: class, count and quadrant are what the words ask for (before: 0.66)",
        "diversity": "distance between two pictures of a prompt after",
        "rule_matched": "the oracle when the classifier's proxy first reached -0.6",
    },
    claims=(
        Claim("AlignProp makes the named quadrant brighter", level("gain", "alignprop"),
              "the generator before", above=0.1, positive=True),
        Claim("Its gain is more than ten times DDPO's from as many reward calls",
              ratio("gain", "alignprop", "ddpo"), "DDPO with the same adapters, rate, pictures and updates",
              above=10.0, unit="times"),
        Claim("DDPO's replayed log-probabilities are the sampled ones to the last bit",
              level("engine_gap", "ddpo"), "any other sum in sampler or score", below=1e-12),
        Claim("Through all steps the classifier is satisfied", level("gain", "cls-full"),
              "the generator before", above=0.3, positive=True),
        Claim("Through all steps drawings stop being what the words ask for",
              gain("rule", "cls-full", "rule_start"), "the oracle, never trained on", below=-0.3),
        Claim("Through all steps the pictures of a prompt become alike",
              growth("diversity", "cls-full", "diversity_start"), "diversity before", below=0.5,
              unit="of the diversity before"),
        more("At the same proxy a random last part keeps more of the rule than all steps", "rule_matched",
             "cls-uniform", "cls-full", control="both at proxy -0.6, same pictures measured"),
    ),
    watched=(("rl", "evaluation/reward"), ("rl", "evaluation/rule"), ("rl", "evaluation/diversity")),
)  # fmt: skip
