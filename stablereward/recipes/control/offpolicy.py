"""Recipes of a frozen imitation and off-policy learners on it: the run from its settings to its report."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from stablereward.config import dump
from stablereward.objectives.objective import Loss
from stablereward.policies.control import Residual
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
from stablereward.training.planning import Stated
from stablereward.training.replay import Transitions
from stablereward.worlds.environments import make


@dataclass(frozen=True, slots=True, kw_only=True)
class OffPolicy:
    """What such a recipe sets. Without `imitation` the actor learns from scratch."""

    task: Task = field(default_factory=Task)
    imitation: Base | None = field(default_factory=Base)
    networks: Networks = field(default_factory=Networks)
    learning: Learning = field(default_factory=Learning)
    critic: OptimConfig
    actor: OptimConfig
    save_every: Count = 10_000
    output: Path
    seed: Number = 0

    def __post_init__(self) -> None:
        require_ranges(self)


CriticLoss = Callable[[Agent, Batch], Loss]
ActorLoss = Callable[[Agent, Transitions], Loss]


def run(
    name: str, config: OffPolicy, critic_loss: CriticLoss, actor_loss: ActorLoss, *, resume: bool
) -> Path:
    """Runs every stage that is not done yet; returns the run folder.

    The folder gets `policy/` (base, residual, critics), `figures.json` and `report.html`. Raises any
    StableRewardError.
    """
    folder, task, target = RunFolder(config.output), config.task, config.output / "policy"
    make(task.environment, 1)  # what is missing is said before anything is done
    with folder.running(dump(config), resume=resume), _one_thread():
        keep_machine(folder.path, name)
        shown = demonstrations(task, config.seed)
        with stage(folder, "imitation"):
            policy = imitate(folder, shown, config.imitation, config.seed, config.save_every)
        with stage(folder, "residual"):
            if not target.exists():
                agent = Agent(task, config.networks, config.learning, policy, shown, config.seed)
                _in_turn(folder, agent, config, critic_loss, actor_loss)
                write_folder(target, agent.save)
        with stage(folder, "measurement"):
            write(folder.path, figures(folder.path, task, policy, Residual.load(target / "residual")))
        say(f"report: {write_report(folder.path, tell=say)}")
    return folder.path


@contextmanager
def _one_thread() -> Iterator[None]:
    """Several threads add up in an order of their own, which a resumed run does not repeat; and networks as
    small as these are no slower on one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _in_turn(
    run: RunFolder, agent: Agent, config: OffPolicy, critic_loss: CriticLoss, actor_loss: ActorLoss
) -> None:
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


def plan(config: OffPolicy, *, gpu: bool) -> Stated:
    """What `stablereward doctor --plan` says of it; the replay is in main memory, with a GPU or without."""
    capacity = config.learning.capacity
    size = capacity * (4 * (2 * 50 + 3 * 7 + 1) + 2)
    return Stated(
        f"its replay of {capacity} steps takes {size / 2**20:.0f} MiB where an observation has 50 numbers "
        "and an action 7, its networks a few more",
        size,
    )
