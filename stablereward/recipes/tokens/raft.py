"""RAFT (https://arxiv.org/abs/2304.06767): of K samples the best is imitated, again and again.

    prompts → K samples each from the policy as it is → rewards → the best of each prompt
            → supervised fine-tuning on these, token for token → the next iteration

Only the order of rewards matters. `method` "local" is the paper's, the best of K a prompt. "global" keeps
the top 1/K of a pool with one sample a prompt, and so prefers the prompts where much can be had: the default
of the released code, whose own script asks for local. "random" imitates any sample, which is the control;
"reinforce" is leave-one-out REINFORCE with as many samples and updates.

Deviations: a completion's tokens alone are learnt, as they were sampled; the released code joins prompt and
answer to a text, tokenises it again and learns all of it. It draws prompts with replacement and a random
length limit for every eight; here prompts come in passes and the limit is one. The batch size of the
imitation is ours: the paper's was not found.

Status: toy-verified (docs/recipes/raft.md); the full scale is untested.
"""

import inspect
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.engines.sampler import sampler
from stablereward.lab.experiment import Arm, Claim, Experiment, difference, equal, level
from stablereward.objectives.named import rloo
from stablereward.policies.completions import Answered, completions
from stablereward.policies.parts import part_of
from stablereward.policies.token import TokenPolicy
from stablereward.ranges import Count, Number, require_ranges
from stablereward.recipes import writers
from stablereward.recipes.completions import measured
from stablereward.recipes.rounds import Choose, Rounds, imitated, writer
from stablereward.recipes.stages import Hardware, Lora
from stablereward.recipes.writers import STAGE, asked, require_asked
from stablereward.rewards.reward import GroupReward, each
from stablereward.rewards.scored import scored_by
from stablereward.runs.figures import Figure
from stablereward.runs.folder import RunFolder
from stablereward.training.collect import Collector, Monitor
from stablereward.training.imitation import SFTConfig
from stablereward.training.learner import Learner
from stablereward.training.optim import OptimConfig
from stablereward.training.planning import Drawing, Update, Work
from stablereward.training.policy_gradient import RLConfig
from stablereward.training.reinforce import reinforcement
from stablereward.training.select import best, some, top_share
from stablereward.types import Failure, Prompt, Reward
from stablereward.worlds.captions.grammar import required, scenes, well_formed, worth


def constant(learning_rate: float) -> OptimConfig:
    """One rate throughout."""
    return OptimConfig(learning_rate=learning_rate, schedule="constant", warmup=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of the released script: 20 iterations of 1024 samples, 4 epochs on an eighth of them.

    The prompts are those of a file (docs/data.md), of which `num_held_out` are measured on; the reward is a
    scalar model's. With `captions` both are the world's. `transform` changes what is learnt from only.
    """

    model: str = "huggyllama/llama-7b"
    data: Path | None = None
    reward_model: str = "weqweasdas/hh_rlhf_rm_open_llama_3b"
    captions: bool = False
    num_held_out: Count = 256
    output: Path = Path("runs/raft")
    method: Literal["local", "global", "random", "reinforce"] = "local"
    transform: Literal["none", "exp"] = "none"
    iterations: Count = 20
    prompts_per_iteration: Count = 128
    sampling: Sampling = field(
        default_factory=lambda: Sampling(num_generations=8, temperature=0.7, max_completion_length=96)
    )
    imitation: SFTConfig = field(
        default_factory=lambda: SFTConfig(epochs=4.0, batch_size=32, optim=constant(2e-5))
    )
    lora: Lora | None = None
    hardware: Hardware = field(default_factory=Hardware)
    seed: Number = 0

    def __post_init__(self) -> None:
        require_ranges(self)

    @property
    def updates(self) -> int:
        """Updates of an iteration."""
        return self.imitation.num_updates(self.prompts_per_iteration)


def chooser(config: Config) -> Choose:
    """What is imitated of an iteration: groups and a seed to groups."""

    def local(groups: Sequence[Answered], seed: int) -> list[Answered]:
        return [chosen for group in groups if (chosen := best(group)).trajectories]

    def pooled(groups: Sequence[Answered], seed: int) -> list[Answered]:
        return top_share(groups, 1 / config.sampling.num_generations)

    def any_one(groups: Sequence[Answered], seed: int) -> list[Answered]:
        rng = random.Random(seed)
        return [chosen for group in groups if (chosen := some(group, 1, rng)).trajectories]

    return {"local": local, "global": pooled, "random": any_one}[config.method]


def learner(folder: RunFolder, policy: TokenPolicy, reward: GroupReward, config: Config) -> Learner:
    """Iterations of sampling, ranking and imitation."""
    if config.method == "reinforce":
        return reinforced(folder, policy, reward, config)
    # The pool has one sample a prompt, of so many more prompts.
    num = 1 if config.method == "global" else config.sampling.num_generations
    pupil = writer(policy, replace(config.sampling, num_generations=num))
    rounds = Rounds(
        run=folder,
        stage=STAGE,
        pupil=pupil,
        prompts=prompts(config),
        prompts_per_round=config.prompts_per_iteration * config.sampling.num_generations // num,
        reward=reward,
        choose=chooser(config),
        lesson=imitated(pupil, config.imitation),
        num_rounds=config.iterations,
        updates=config.updates,
        seed=config.seed,
        monitors=monitors(config),
    )
    return rounds.learner()


def reinforced(folder: RunFolder, policy: TokenPolicy, reward: GroupReward, config: Config) -> Learner:
    """REINFORCE against the mean of a prompt's other samples; as many samples and updates in all."""
    settings = RLConfig(
        num_updates=config.iterations * config.updates,
        prompts_per_batch=max(1, config.prompts_per_iteration // config.updates),
        num_generations=config.sampling.num_generations,
        updates_per_batch=1,
        temperature=config.sampling.temperature,
        max_completion_length=config.sampling.max_completion_length,
        token_budget=config.imitation.token_budget,
        optim=config.imitation.optim,
    )
    collector = Collector(
        sampler(HFEngine(policy), settings.sampling()),
        completions(policy, settings.temperature),
        reward,
        rloo(),
        settings,
        monitors=monitors(config),
    )
    return reinforcement(folder, STAGE, policy, collector, prompts(config), config.seed, part_of=part_of)


def prompts(config: Config, *, held_out: bool = False) -> list[Prompt]:
    """Those to train on, or those to measure on; none where no file is named."""
    if config.captions:
        return scenes(config.num_held_out if held_out else 2048, seed=config.seed, held_out=held_out)
    return [question.prompt for question in asked(config.data, config.num_held_out, config.seed)[held_out]]


def reward(config: Config) -> GroupReward:
    """A caption's worth, or the score of the reward model."""
    if not config.captions:
        return scored_by(config.reward_model, device=config.hardware.device)
    return each(lambda sample: Reward(value=worth(sample.prompt, sample.completion.text)))


def raised(reward: GroupReward) -> GroupReward:
    """exp of every reward: the same order."""

    async def exponential(group: Answered) -> Sequence[Reward | Failure]:
        outcomes = reward(group)
        known = await outcomes if inspect.isawaitable(outcomes) else outcomes
        return [r if isinstance(r, Failure) else replace(r, value=math.exp(r.value)) for r in known]

    return exponential


def monitors(config: Config) -> dict[str, Monitor]:
    """What is watched of the captions: their grammar, and how much their prompts demand."""
    if not config.captions:
        return {}
    return {
        "captions/well_formed": lambda sample: float(well_formed(sample.completion.text)),
        "captions/demand": lambda sample: float(len(required(sample.prompt))),
    }


def course(rows: Sequence[Mapping[str, float]]) -> list[Figure]:
    """What was chosen over the whole run."""
    if "chosen/captions/demand" not in rows[0]:
        return []
    gap = sum(row["chosen/captions/demand"] - row["captions/demand"] for row in rows) / len(rows)
    about = "required words of the prompts that were chosen, more than of all"
    return [Figure(name="demand_gap", value=gap, about=about)]


def run(config: Config, *, resume: bool = False) -> Path:
    """Trains and measures; returns the run folder, with the policy in `policy/`."""
    held_out = prompts(config, held_out=True)
    require_asked(held_out)
    judge = reward(config)
    learnt_from = raised(judge) if config.transform == "exp" else judge
    sampling = replace(config.sampling, num_generations=4, seed=config.seed)
    return writers.run(
        "raft",
        config,
        partial(learner, reward=learnt_from, config=config),
        lambda policy: measured(policy, held_out, judge, sampling, monitors(config)),
        SHOWN | WORLD if config.captions else SHOWN,
        course=course,
        resume=resume,
    )


SHOWN = {
    "reward": ("reward/mean", "mean reward of four samples to each held-out prompt"),
    "entropy": ("policy/entropy", "mean entropy of a token of them, in nats"),
    "length": ("completions/length", "their mean length in tokens"),
}
WORLD = {"well_formed": ("captions/well_formed", "the share of them that the grammar has")}


def works(config: Config) -> list[Work]:
    """Training and measurement as a planner of memory sees them."""
    length, num = config.sampling.max_completion_length, config.sampling.num_generations
    update = Update(
        prompts=config.imitation.batch_size,
        group=1,
        completion=length,
        token_budget=config.imitation.token_budget,
    )
    drawing = Drawing(group=num, completion=length, prompts=config.prompts_per_iteration)
    rank = None if config.lora is None else config.lora.rank
    checkpointing = config.hardware.gradient_checkpointing
    return [
        Work(name=STAGE, update=update, drawing=drawing, rank=rank, checkpointing=checkpointing),
        Work(name="measurement", drawing=Drawing(group=4, completion=length)),
    ]


def tiny() -> Config:
    """The world of captions from its base: seconds on two cores."""
    return Config(
        model="captions",
        captions=True,
        iterations=5,
        prompts_per_iteration=128,
        sampling=Sampling(num_generations=8, max_completion_length=24),
        imitation=SFTConfig(epochs=2.0, batch_size=64, optim=constant(5e-4)),
        hardware=Hardware(device="cpu"),
    )


EXPERIMENT = Experiment(
    says="The best of K samples, imitated, raises the reward, the more the larger K, which costs diversity: "
    "on HH-RLHF a mean reward of 2.294 at K = 32 where PPO reaches 2.077. Only the order of rewards matters.",
    arms={
        "local": Arm(about="the best of K = 8"),
        "K = 2": Arm(about="the best of 2", changes=("sampling.num_generations=2",)),
        "K = 4": Arm(about="the best of 4", changes=("sampling.num_generations=4",)),
        "K = 16": Arm(about="the best of 16", changes=("sampling.num_generations=16",)),
        "global": Arm(about="the best eighth of a pool, equal samples", changes=("method=global",)),
        "random": Arm(about="any of 8", changes=("method=random",)),
        "reinforce": Arm(about="REINFORCE, equal samples and updates", changes=("method=reinforce",)),
        "local, exp": Arm(about="the best of 8 by exp(reward)", changes=("transform=exp",)),
        "reinforce, exp": Arm(about="REINFORCE, exp(reward)", changes=("method=reinforce", "transform=exp")),
    },
    figures={
        "reward": "mean worth of four samples to each of 256 held-out prompts",
        "entropy": "mean entropy of a token of them, in nats",
        "well_formed": "share of them that the grammar has",
        "demand_gap": "required words of the prompts that were chosen, more than of all",
    },
    claims=(
        Claim(says="The set-up learns: local ranking raises the reward of the base", positive=True, above=0.5,
              measure=lambda arms: arms["local"]["reward"] - arms["local"]["start_reward"],
              control="the base before training"),
        Claim(says="Ranking is what helps", measure=difference("reward", "local", "random"), above=0.0,
              control="a random pick of the same samples"),
        Claim(says="4 samples are better than 2", measure=difference("reward", "K = 4", "K = 2"), above=0.0,
              control="K = 2"),
        Claim(says="8 samples are better than 4", measure=difference("reward", "local", "K = 4"), above=0.0,
              control="K = 4"),
        Claim(says="16 samples are better than 8", measure=difference("reward", "K = 16", "local"), above=0.0,
              control="K = 8"),
        Claim(says="exp of the rewards changes nothing, to the last bit", above=0.5,
              measure=equal("weights", "local", "local, exp"), control="any look at the size of a reward"),
        Claim(says="exp of the rewards changes REINFORCE", positive=True, below=0.5,
              measure=equal("weights", "reinforce", "reinforce, exp"),
              control="the same change, to a method that looks at sizes"),
        Claim(says="8 samples cost more entropy than 2", measure=difference("entropy", "K = 2", "local"),
              above=0.0, control="K = 2"),
        Claim(says="16 samples cost more entropy than 8", measure=difference("entropy", "local", "K = 16"),
              above=0.0, control="K = 8"),
        Claim(says="Global ranking chooses prompts where more can be had", above=0.5,
              measure=level("demand_gap", "global"), control="local ranking, where it is 0"),
        Claim(says="Local ranking is worth more than global at equal samples", above=0.0,
              measure=difference("reward", "local", "global"), control="global ranking"),
    ),
    watched=((STAGE, "reward/mean"), (STAGE, "policy/entropy")),
    notes="Arms are compared after equally many updates. The base is the same for all seeds; prompts and "
    "samples are not. Entropy falls for two reasons: captions become complete, and alternatives are lost.",
)  # fmt: skip
