"""What off-policy recipes of control share: critics and an actor on a base, and what their updates draw."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import torch
from torch import Tensor

from stablereward.errors import ConfigError
from stablereward.policies.control import ChunkPolicy, Critics, Plans, Residual, combined, follow
from stablereward.ranges import Count, NotNegative, Number, Proportion, Range, require_ranges
from stablereward.recipes.control.base import Demonstrations, Task, kept
from stablereward.recipes.control.episodes import Experience
from stablereward.training.replay import Memories, Replay, Transitions, generator, mixed
from stablereward.worlds.environments import make


@dataclass(frozen=True, slots=True, kw_only=True)
class Networks:
    """The residual is at most `scale`; a target is the least of `subset` of the critics' `heads`."""

    hidden: Count = 256
    scale: Annotated[float, Range(0, 2)] = 0.1
    heads: Count = 10
    subset: Count = 2
    layer_norm: bool = True

    def __post_init__(self) -> None:
        require_ranges(self)
        if self.subset > self.heads:
            raise ConfigError(f"subset is {self.subset}; it must be at most heads, which is {self.heads}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """`learning_starts` steps of the base with noise, `warm_up` updates of the critics alone, then
    `num_iterations` of a step of all environments, `critic_updates` and an update of the actor.

    `shown` is the share of demonstrations in a batch. `timeouts` that are "terminal" are worth nothing.
    """

    num_iterations: Count = 200_000
    learning_starts: Count = 10_000
    warm_up: Number = 10_000
    critic_updates: Count = 4
    batch_size: Count = 256
    capacity: Count = 300_000
    shown: Proportion = 0.5
    n: Count = 3
    gamma: Proportion = 0.99
    tau: Proportion = 0.005
    start_noise: NotNegative = 0.2
    noise: NotNegative = 0.05
    noise_clip: NotNegative = 0.3
    timeouts: Literal["go on", "terminal"] = "go on"

    def __post_init__(self) -> None:
        require_ranges(self)

    @property
    def num_critic_updates(self) -> int:
        """Of the warm-up and of all turns."""
        return self.warm_up + self.critic_updates * self.num_iterations


class Batch(NamedTuple):
    """What an update of the critics takes: steps, the noise of the actions after them, the target's heads."""

    steps: Transitions
    noise_BA: Tensor
    heads_N: Tensor


class Agent:
    """Critics and actor, the averages that follow them, and the experience that they learn from."""

    def __init__(
        self,
        task: Task,
        networks: Networks,
        learning: Learning,
        policy: ChunkPolicy,
        shown: Demonstrations,
        seed: int,
    ) -> None:
        self.networks, self.learning, self.policy, self.seed = networks, learning, policy, seed
        form: dict[str, Any] = {
            "observation": shown.observation.shape[1],
            "action": shown.action.shape[1],
            "hidden": networks.hidden,
            "layer_norm": networks.layer_norm,
        }
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.critics = Critics(**form, heads=networks.heads)
            self.actor = Residual(**form, scale=networks.scale)
        for module in (self.critics, self.actor):
            module.standard.see(shown.observation)
        self.target_critics = copy.deepcopy(self.critics).requires_grad_(False)
        self.target_actor = copy.deepcopy(self.actor).requires_grad_(False)
        self.shown = kept(shown, policy, n=learning.n, gamma=learning.gamma)
        self.replay = Replay(learning.capacity, task.num_envs, n=learning.n, gamma=learning.gamma)
        self.experience = Experience(
            make(task.environment, task.num_envs),
            Plans(policy, task.num_envs),
            self.replay,
            seed,
            terminal_timeouts=learning.timeouts == "terminal",
        )

    @property
    def memory(self) -> Memories:
        """What batches depend on beside the number of the update."""
        return Memories(
            target_critics=self.target_critics,
            target_actor=self.target_actor,
            replay=self.replay,
            experience=self.experience,
        )

    @torch.no_grad()
    def act(self, observation: Tensor, base: Tensor) -> Tensor:
        """The base's action and the residual."""
        return combined(base, self.actor(observation, base))

    @torch.no_grad()
    def explore(self) -> None:
        """A step of all environments with noise: at first that of the base alone."""
        now, learning = self.experience, self.learning
        draw = generator(self.seed, "explore", self.replay.written)
        if now.num_steps < learning.learning_starts:
            noise = learning.start_noise * (2 * torch.rand(now.base.shape, generator=draw) - 1)
            now.step(combined(now.base, noise))
        else:
            noise = learning.noise * torch.randn(now.base.shape, generator=draw)
            now.step(combined(self.act(now.observation, now.base), noise))

    def critic_batches(self, start: int) -> Iterator[list[Batch]]:
        """The averages follow before each batch but the first; a step is made before each turn."""
        learning = self.learning
        while start == 0 and self.experience.num_steps < learning.learning_starts:
            self.explore()
        for number in range(start, learning.num_critic_updates):
            if number:
                follow((self.target_critics, self.target_actor), (self.critics, self.actor), learning.tau)
            if number >= learning.warm_up and (number - learning.warm_up) % learning.critic_updates == 0:
                self.explore()
            draw = generator(self.seed, "critic", number)
            steps = self._drawn(draw)
            noise_BA = learning.noise * torch.randn(steps.action.shape, generator=draw)
            heads_N = torch.randperm(self.networks.heads, generator=draw)[: self.networks.subset]
            yield [Batch(steps, noise_BA, heads_N)]

    def actor_batches(self, start: int) -> Iterator[list[Transitions]]:
        """Drawn anew for each update."""
        for number in range(start, self.learning.num_iterations):
            yield [self._drawn(generator(self.seed, "actor", number))]

    def save(self, folder: Path) -> None:
        """Writes what acts, `base` and `residual`, and the `critics`."""
        self.policy.save(folder / "base")
        self.actor.save(folder / "residual")
        self.critics.save(folder / "critics")

    def _drawn(self, draw: torch.Generator) -> Transitions:
        shown = round(self.learning.batch_size * self.learning.shown)
        return mixed([(self.shown, shown), (self.replay, self.learning.batch_size - shown)], draw)
