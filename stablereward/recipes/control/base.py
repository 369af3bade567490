"""What recipes of control begin with: demonstrations, and the policy that imitates them, then frozen."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from stablereward.errors import DataError
from stablereward.objectives.objective import Loss
from stablereward.policies.control import ChunkPolicy
from stablereward.ranges import Count, NotNegative, require_ranges
from stablereward.runs.folder import RunFolder
from stablereward.training.batching import passes
from stablereward.training.checkpoint import write_folder
from stablereward.training.learner import Learner, train
from stablereward.training.optim import OptimConfig
from stablereward.training.replay import Replay, Step
from stablereward.worlds import environments
from stablereward.worlds.push import demonstrator

PUSH = "push"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """An environment of gymnasium by its registered name, what was shown of it, and how it is measured.

    `demonstrations` is a safetensors file of the fields of `Demonstrations`, or "push"; the first `num_shown`
    episodes are taken, of the world of push with so much `shakiness`. Their reward is 1 in the step that
    succeeds, which is terminated, and else 0, as in the environment. `measured` episodes are played in the
    end, `measured_often` of them every `measure_every` updates of the actor.
    """

    environment: str = "gymnasium_robotics:FetchPush-v4"
    demonstrations: str = "demonstrations.safetensors"
    num_shown: Count = 300
    shakiness: NotNegative = 0.3
    num_envs: Count = 1
    measured: Count = 100
    measured_often: Count = 20
    measure_every: Count = 5_000
    render: bool = False

    def __post_init__(self) -> None:
        require_ranges(self)


def push() -> Task:
    """The world of push, as it is played in seconds."""
    return Task(
        environment=environments.PUSH,
        demonstrations=PUSH,
        num_shown=100,
        num_envs=16,
        measured=256,
        measured_often=64,
        measure_every=100,
        render=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The imitation: a perceptron that plans `chunk` actions at once."""

    chunk: Count = 20
    hidden: Count = 512
    num_updates: Count = 20_000
    batch_size: Count = 256
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(learning_rate=1e-4))

    def __post_init__(self) -> None:
        require_ranges(self)


class Demonstrations(NamedTuple):
    """Steps of episodes, one after the other; `over` marks the last of each."""

    observation: Tensor
    action: Tensor
    reward: Tensor
    terminated: Tensor
    over: Tensor
    next_observation: Tensor


def demonstrations(task: Task, seed: int) -> Demonstrations:
    """The first episodes of the task's file, or those of the hand that pushes. Raises DataError."""
    source = task.demonstrations
    if source == PUSH:
        made = demonstrator.demonstrations(task.num_shown, seed, task.shakiness)
        return Demonstrations(*(torch.from_numpy(made[name]) for name in Demonstrations._fields))
    try:
        found = load_file(source)
        read = Demonstrations(*(found[name] for name in Demonstrations._fields))
    except (OSError, SafetensorError, KeyError) as error:
        raise DataError(
            f"{source}: no demonstrations that can be read ({error}); write a safetensors file of "
            f"{', '.join(Demonstrations._fields)}, or {PUSH}"
        ) from None
    ends = read.over.bool().nonzero()[:, 0]
    if not len(ends) or len({len(column) for column in read}) > 1:
        raise DataError(f"{source}: its columns differ in length, or `over` marks no end of an episode")
    count = int(ends[min(task.num_shown, len(ends)) - 1]) + 1
    whole = Demonstrations(*(column[:count] for column in read))
    return whole._replace(
        observation=whole.observation.float(),
        action=whole.action.float().clamp(-1, 1),
        reward=whole.reward.float(),
        terminated=whole.terminated.bool(),
        over=whole.over.bool(),
        next_observation=whole.next_observation.float(),
    )


def places(over_S: Tensor) -> Tensor:
    """How many steps of its episode come before each step."""
    steps = torch.arange(len(over_S))
    starts = torch.where(torch.cat([torch.ones(1, dtype=torch.bool), over_S[:-1]]), steps, 0)
    return steps - starts.cummax(0).values


class Chunk(NamedTuple):
    """Observations, the actions that followed, and which of these there were before the episode's end."""

    observation: Tensor
    actions_BCA: Tensor
    mask_BC: Tensor


def chunk_batches(
    shown: Demonstrations, chunk: int, batch_size: int, num_updates: int, seed: int, start: int
) -> Iterator[list[Chunk]]:
    """Batches of observations with the `chunk` actions that followed."""
    episode_S = shown.over.cumsum(0) - shown.over.long()
    for chosen in passes(len(shown.over), batch_size, num_updates, seed, start):
        first_B = torch.tensor(chosen)
        steps_BC = (first_B[:, None] + torch.arange(chunk)).clamp(max=len(shown.over) - 1)
        inside_BC = first_B[:, None] + torch.arange(chunk) < len(shown.over)
        mask_BC = inside_BC & (episode_S[steps_BC] == episode_S[first_B][:, None])
        yield [Chunk(shown.observation[first_B], shown.action[steps_BC], mask_BC)]


def chunk_loss(policy: ChunkPolicy, batch: Chunk) -> Loss:
    """Mean absolute error of the actions, as in ACT (https://arxiv.org/abs/2304.13705)."""
    error_BC = (policy(batch.observation) - batch.actions_BCA).abs().mean(-1)
    return Loss((error_BC * batch.mask_BC).sum() / batch.mask_BC.sum(), {})


@torch.no_grad()
def kept(shown: Demonstrations, policy: ChunkPolicy, *, n: int, gamma: float) -> Replay:
    """The demonstrations as experience, with what the frozen policy would have done in their states.

    Its chunks begin where they would have begun, had it been asked along the episode.
    """
    place_S = places(shown.over) % policy.chunk
    chunks_SCA = policy(shown.observation).clamp(-1, 1)
    steps_S = torch.arange(len(shown.over))
    base_SA = chunks_SCA[steps_S - place_S, place_S]
    anew_SA = policy(shown.next_observation).clamp(-1, 1)[:, 0]
    next_S = (place_S + 1) % policy.chunk
    next_base_SA = torch.where(next_S[:, None] == 0, anew_SA, chunks_SCA[steps_S - place_S, next_S])
    replay = Replay(len(shown.over), 1, n=n, gamma=gamma)
    for s in range(len(shown.over)):
        row = (slice(s, s + 1),)
        replay.add(
            Step(
                shown.observation[row],
                base_SA[row],
                shown.action[row],
                shown.reward[row],
                shown.terminated[row],
                shown.over[row],
                shown.next_observation[row],
                next_base_SA[row],
            )
        )
    return replay


def imitate(
    run: RunFolder, shown: Demonstrations, config: Base | None, seed: int, save_every: int
) -> ChunkPolicy:
    """Trains the policy of chunks, or reads it where that is done; without a config one that does nothing."""
    target, chosen = run.path / "base", config or Base(chunk=1, hidden=1)
    if not target.exists():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            policy = ChunkPolicy(
                observation=shown.observation.shape[1],
                action=shown.action.shape[1],
                chunk=chosen.chunk,
                hidden=chosen.hidden,
            )
        policy.standard.see(shown.observation)
        if config is None:
            policy.net.silence()
        else:
            learner = Learner(
                name="base",
                module=policy,
                batches=lambda start: chunk_batches(
                    shown, config.chunk, config.batch_size, config.num_updates, seed, start
                ),
                loss=lambda batch: chunk_loss(policy, batch),
                num_updates=config.num_updates,
                optim=config.optim,
            )
            train(run, "imitation", learner, save_every=save_every)
        write_folder(target, policy.save)
    return ChunkPolicy.load(target).requires_grad_(False)
