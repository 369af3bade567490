"""DDPO (https://arxiv.org/abs/2305.13301): policy gradient over denoising steps, from a black-box reward.

    prompts → G pictures each, DDIM with noise → reward of the pixels → z-score within the prompt
    → for each step: ratio of log N(next state) now and when sampled, clipped at 1 ± 1e-4 → update

Log-probabilities are means over the numbers of a state, and the guided prediction is what is trained, as in
the authors' code. Deviations: a prompt's statistics are those of its own pictures in the batch, where the
code keeps a prompt's last 16 or 32 over epochs; steps of a picture are not shuffled, for their gradients are
added up before the update; the reward is a CLIP model's, where the paper's include LLaVA and file sizes.

Status: toy-verified as AlignProp's baseline (docs/recipes/alignprop.md); the full scale is untested.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from stablereward.config import dump
from stablereward.objectives.named import ddpo
from stablereward.policies.diffusion import DiffusionPolicy, denoising, sampler
from stablereward.ranges import Number, Positive, require_ranges
from stablereward.recipes.diffusion import memory, pictures
from stablereward.recipes.diffusion.pictures import Task
from stablereward.recipes.stages import Hardware, require_whole_batches
from stablereward.rewards.differentiable import DifferentiableReward, as_black_box
from stablereward.runs.folder import RunFolder
from stablereward.training import optim
from stablereward.training.collect import Collector
from stablereward.training.learner import Learner
from stablereward.training.optim import constant
from stablereward.training.planning import Stated
from stablereward.training.policy_gradient import RLConfig
from stablereward.training.protection import Protection
from stablereward.training.reinforce import reinforcement
from stablereward.types import Prompt

ADAM = constant(3e-4, betas=optim.ADAM, decay=1e-4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ddpo:
    """256 pictures an epoch in 4 updates, learning rate 3e-4 with adapters: the authors' settings."""

    epsilon: Positive = 1e-4
    rl: RLConfig = field(
        default_factory=lambda: RLConfig(
            num_updates=400, num_generations=8, updates_per_batch=4, token_budget=400, optim=ADAM
        )
    )

    def __post_init__(self) -> None:
        require_ranges(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """`ddpo.rl.token_budget` is in steps of a picture: 400 are 8 pictures of 50 steps."""

    task: Task = field(default_factory=Task)
    ddpo: Ddpo = field(default_factory=Ddpo)
    hardware: Hardware = field(default_factory=lambda: Hardware(gradient_checkpointing=True))
    protection: Protection = field(default_factory=Protection)
    output: Path = Path("runs/ddpo")
    seed: Number = 0

    def __post_init__(self) -> None:
        require_ranges(self)


def learner(
    run: RunFolder,
    policy: DiffusionPolicy,
    reward: DifferentiableReward,
    prompts: Sequence[Prompt],
    config: Ddpo,
    seed: int,
) -> Learner:
    """Pictures as trajectories of steps; the reward is seen as numbers alone."""
    draw, family = sampler(policy, config.rl.num_generations), denoising(policy)
    objective = ddpo(epsilon=config.epsilon)
    collector = Collector(draw, family, as_black_box(reward), objective, config.rl)
    return reinforcement(run, "rl", policy, collector, prompts, seed)


def run(config: Config, *, resume: bool = False) -> Path:
    """Trains and measures; returns the run folder."""
    require_whole_batches(config.hardware, config.ddpo.rl)
    make = partial(learner, config=config.ddpo, seed=config.seed)
    return pictures.run(config, make, dump(config), resume=resume)


def plan(config: Config, *, gpu: bool) -> Stated:
    """What `stablereward doctor --plan` says of it."""
    return planned(config, config.ddpo.rl, gpu=gpu)


def planned(config: pictures.Recipe, rl: RLConfig, *, gpu: bool) -> Stated:
    """Pictures of a micro-batch are scored `at_once` together; each has a gradient at every step."""
    drawing = config.task.drawing
    group = rl.num_generations
    num = group * min(rl.prompts_per_batch, -(-rl.token_budget // (group * drawing.num_steps)))
    at_once = min(drawing.at_once, num)
    steps = drawing.num_steps * -(-num // at_once)
    return memory.plan(config, gpu=gpu, at_once=at_once, steps=steps, through_decoder=False)


def tiny() -> Config:
    """The mean level of a quadrant in the world of shapes: under a minute on two cores."""
    rl = RLConfig(
        num_updates=30,
        prompts_per_batch=8,
        num_generations=4,
        updates_per_batch=1,
        token_budget=320,
        optim=replace(ADAM, learning_rate=3e-3),
    )
    return Config(task=pictures.tiny(), ddpo=Ddpo(rl=rl), hardware=Hardware(device="cpu"))
