"""ResFiT (https://arxiv.org/abs/2509.19301): a residual learnt off policy on a frozen imitation.

    demonstrations → policy of chunks, frozen → a = clamp(base + scale · tanh(residual), -1, 1)
    replay, half demonstrations → y = Σ γ^i r + γ^n (1 - d) · min over 2 of N heads of Q'(s', a' + noise)
    → for each step of the environments 4 updates of the critics and 1 of the actor, up the mean of all heads

Deviations from the paper: observations are flat numbers and all networks perceptrons (its own see pictures
with a small transformer); targets are plain numbers (its code can also predict distributions).
The released code stores time-outs as terminal (`done = terminated | truncated`); here a time-out goes on, and
`learning.timeouts` brings theirs back.

Needs gymnasium: pip install 'stablereward[control]'.

Status: toy-verified (docs/recipes/resfit.md); of the full scale, two updates on FetchPush-v4 were made.
"""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from stablereward.config import dump
from stablereward.lab.experiment import Arm, Claim, Experiment, difference, level
from stablereward.objectives.objective import Loss
from stablereward.objectives.td import smoothed, td_target
from stablereward.policies.control import Residual, combined, untouched
from stablereward.ranges import Count, Number, require_ranges
from stablereward.recipes.control.agent import Agent, Batch, Learning, Networks
from stablereward.recipes.control.base import Base, Task, demonstrations, imitate
from stablereward.recipes.control.episodes import figures, measurement
from stablereward.recipes.stages import stage
from stablereward.report.report import write_report
from stablereward.runs.figures import write
from stablereward.runs.folder import RunFolder
from stablereward.runs.machine import keep_machine
from stablereward.runs.progress import bar, say
from stablereward.training.checkpoint import write_folder
from stablereward.training.learner import Learner, train
from stablereward.training.optim import OptimConfig
from stablereward.training.replay import Transitions
from stablereward.worlds.environments import PUSH, make


def adam(rate: float) -> OptimConfig:
    """Adam at a rate that stays."""
    return OptimConfig(learning_rate=rate, schedule="constant", warmup=0.0, betas=(0.9, 0.999))


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The constants of the authors' code. Without `imitation` the actor learns from scratch, as in RLPD."""

    task: Task = field(default_factory=Task)
    imitation: Base | None = field(default_factory=Base)
    networks: Networks = field(default_factory=Networks)
    learning: Learning = field(default_factory=Learning)
    critic: OptimConfig = field(default_factory=lambda: adam(1e-4))
    actor: OptimConfig = field(default_factory=lambda: adam(1e-6))
    save_every: Count = 10_000
    output: Path = Path("runs/resfit")
    seed: Number = 0

    def __post_init__(self) -> None:
        require_ranges(self)


def critic_loss(agent: Agent, batch: Batch) -> Loss:
    """The squared distance of every head from one target."""
    steps = batch.steps
    with torch.no_grad():
        residual = agent.target_actor(steps.next_observation, steps.next_base)
        action = combined(steps.next_base, residual)
        action = smoothed(action, batch.noise_BA, agent.learning.noise_clip)
        values_NB = agent.target_critics(steps.next_observation, action)[batch.heads_N]
        target_B = td_target(steps.returns, steps.worth, values_NB)
    said_NB = agent.critics(steps.observation, steps.action)
    loss = (said_NB - target_B).square().mean()
    told = {"critic/value": said_NB.detach().mean(), "critic/target": target_B.mean()}
    return Loss(loss, {"value/loss": loss.detach(), **told})


def actor_loss(agent: Agent, steps: Transitions) -> Loss:
    """Up the mean of all heads, without noise."""
    residual = agent.actor(steps.observation, steps.base)
    value = untouched(agent.critics, steps.observation, combined(steps.base, residual)).mean()
    return Loss(-value, {"residual/size": residual.detach().abs().mean()})


def reinforce(run: RunFolder, agent: Agent, config: Config) -> None:
    """Critics and actor in turn; the actor is measured now and then."""
    learning = config.learning
    measure = measurement(run, config.task, agent.policy, agent.act)

    critic = Learner(
        name="critic",
        module=agent.critics,
        batches=agent.critic_batches,
        loss=lambda batch: critic_loss(agent, batch),
        num_updates=learning.num_critic_updates,
        optim=config.critic,
        memory=agent.memory,
    )
    actor = Learner(
        name="actor",
        module=agent.actor,
        batches=agent.actor_batches,
        loss=lambda steps: actor_loss(agent, steps),
        num_updates=learning.num_iterations,
        optim=config.actor,
        figures=lambda update: {**agent.experience.figures(), **measure(update)},
    )
    with bar("residual", learning.num_iterations) as progress:
        train(
            run,
            "residual",
            critic,
            actor,
            turns=(learning.critic_updates, 1),
            first=(learning.warm_up, 0),
            save_every=config.save_every,
            progress=lambda update: progress(update.number, ""),
        )


def run(config: Config, *, resume: bool = False) -> Path:
    """Runs every stage that is not done yet; returns the run folder.

    The folder gets `policy/` (base, residual, critics), `figures.json` and `report.html`. Raises any
    StableRewardError.
    """
    folder, task, target = RunFolder(config.output), config.task, config.output / "policy"
    make(task.environment, 1)  # what is missing is said before anything is done
    with folder.running(dump(config), resume=resume):
        keep_machine(folder.path, "control/resfit")
        shown = demonstrations(task, config.seed)
        with stage(folder, "imitation"):
            policy = imitate(folder, shown, config.imitation, config.seed, config.save_every)
        with stage(folder, "residual"):
            if not target.exists():
                agent = Agent(task, config.networks, config.learning, policy, shown, config.seed)
                reinforce(folder, agent, config)
                write_folder(target, agent.save)
        with stage(folder, "measurement"):
            write(folder.path, figures(folder.path, task, policy, Residual.load(target / "residual")))
        say(f"report: {write_report(folder.path, tell=say)}")
    return folder.path


def tiny() -> Config:
    """Push, from an imitation that succeeds in almost half of its episodes: half a minute on two cores."""
    return Config(
        task=Task(
            environment=PUSH,
            demonstrations="push",
            num_shown=100,
            num_envs=16,
            measured=256,
            measured_often=64,
            measure_every=100,
            render=True,
        ),
        imitation=Base(
            chunk=8, hidden=64, num_updates=1000, batch_size=128, optim=OptimConfig(learning_rate=1e-3)
        ),
        networks=Networks(hidden=64, scale=0.3, heads=5),
        learning=Learning(
            num_iterations=1600,
            learning_starts=4000,
            warm_up=1000,
            batch_size=128,
            capacity=30_000,
            gamma=0.95,
            tau=0.02,
            noise=0.1,
        ),
        critic=adam(1e-3),
        actor=adam(3e-4),
        save_every=2000,
    )


def plan(config: Config) -> str:
    """What `stablereward doctor --plan` says of it."""
    capacity = config.learning.capacity
    size = capacity * (4 * (2 * 50 + 3 * 7 + 1) + 2) / 2**20
    return (
        f"it has no language model, and so nothing to plan; its replay of {capacity} steps takes {size:.0f} "
        "MiB where an observation has 50 numbers and an action 7, its networks a few more"
    )


EXPERIMENT = Experiment(
    says="Near-perfect on five simulated tasks, from imitations that succeed in some of their episodes, in "
    "about 200,000 steps of the environment (residual PPO: 40 million); on a real robot from 14 % to 64 % in "
    "134 episodes. LayerNorm, demonstrations in every batch, returns of n steps and several updates a step "
    "are needed.",
    arms={
        "resfit": Arm(about="the method"),
        "no_layer_norm": Arm(
            about="critics and residual without LayerNorm", changes=("networks.layer_norm=false",)
        ),
        "no_demonstrations": Arm(about="batches of its own steps alone", changes=("learning.shown=0",)),
        "one_step": Arm(about="returns of one step", changes=("learning.n=1",)),
        "one_update": Arm(about="one update of the critics a step", changes=("learning.critic_updates=1",)),
        "scratch": Arm(
            about="no base: the residual is all there is, with the demonstrations (RLPD)",
            changes=("imitation=null", "networks.scale=1", "learning.start_noise=1"),
        ),
        "terminal_timeouts": Arm(
            about="time-outs stored as terminal, as in the released code",
            changes=("learning.timeouts=terminal",),
        ),
    },
    figures={
        "success": "share of 256 episodes from fixed starts that reach the goal",
        "success_base": "the same of the frozen base alone",
        "success_mean": "mean success over the measurements on the way, at equal steps in all arms",
        "steps_needed": "steps of the environments until a measurement was at least 90 %, or all",
        "residual": "mean distance of an action from the base's; actions range from -1 to 1",
        "env_steps": "steps of all environments together",
    },
    claims=(
        Claim(
            says="the imitation succeeds in some episodes",
            measure=level("success_base", "resfit"),
            above=0.3,
            control="a policy that does nothing succeeds in none",
            positive=True,
        ),
        Claim(
            says="the imitation leaves room",
            measure=level("success_base", "resfit"),
            below=0.6,
            control="the hand that was imitated succeeds in all",
            positive=True,
        ),
        Claim(
            says="the residual brings it above 90 %",
            measure=level("success", "resfit"),
            above=0.9,
            control="the base alone on the same starts",
        ),
        Claim(
            says="that is a gain of more than 30 points",
            measure=level("gain", "resfit"),
            above=0.3,
            control="the base alone on the same starts",
        ),
        Claim(
            says="the residual stays small",
            measure=level("residual", "resfit"),
            below=0.2,
            control="a residual at its bound of 0.3 in all that it does",
        ),
        Claim(
            says="from scratch it is slower",
            measure=difference("success_mean", "resfit", "scratch"),
            above=0.1,
            control="the same learner without a base, with the same demonstrations and steps",
        ),
        *(
            Claim(
                says=f"{what} is needed",
                measure=difference("success_mean", "resfit", arm),
                above=0.0,
                control="the same learner without it",
            )
            for arm, what in (
                ("no_layer_norm", "LayerNorm"),
                ("no_demonstrations", "a share of demonstrations"),
                ("one_step", "a return of three steps"),
                ("one_update", "more than one update a step"),
            )
        ),
        Claim(
            says="letting time-outs go on is needed",
            measure=difference("success_mean", "resfit", "terminal_timeouts"),
            above=0.0,
            control="time-outs stored as terminal",
        ),
    ),
    watched=(("residual", "evaluation/success"),),
    notes="The settings of push were chosen on pilot runs of seeds 0 and 1, which are also among these; one "
    "of them had measured a residual of 0.16 before its threshold was set. Success falls below the base's at "
    "first, until the critics have seen what the residual does. Residual PPO, which the paper says needs two "
    "hundred times the steps, is not among the arms.",
)
