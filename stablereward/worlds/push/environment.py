"""The world of push as environments of gymnasium: many tables at once, or one."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from stablereward.worlds.push import physics

SEEDS = 2**31
METADATA = {"render_modes": ["rgb_array"], "render_fps": 20, "autoreset_mode": AutoresetMode.NEXT_STEP}
OBSERVATION = gymnasium.spaces.Box(-4.0, 4.0, (physics.NUM_STATE + 4,), np.float32)
ACTION = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)

Stepped = tuple[
    NDArray[np.float32], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]
]


class Push2DVector(VectorEnv[Any, Any, Any]):
    """E tables. The reward is 1 in the step that brings the block to the goal, which terminates, and else 0;
    80 steps truncate.

    An episode is its seed and its actions. One whose seed is not given draws it from `np_random`, as in
    gymnasium. `autoreset_mode` is any of gymnasium's; DISABLED resets by `options["reset_mask"]`.
    """

    metadata = METADATA

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
    ) -> None:
        self.num_envs, self.render_mode = num_envs, render_mode
        self.mode = AutoresetMode(autoreset_mode)
        self.metadata = {**METADATA, "autoreset_mode": self.mode}
        self.single_observation_space, self.single_action_space = OBSERVATION, ACTION
        self.observation_space = batch_space(OBSERVATION, num_envs)
        self.action_space = batch_space(ACTION, num_envs)
        self.states = np.zeros((num_envs, physics.NUM_STATE))
        self.ages = np.zeros(num_envs, dtype=np.int64)
        self.over = np.zeros(num_envs, dtype=np.bool_)
        self.courses: list[list[physics.Array]] = [[] for _ in range(num_envs)]

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """New episodes on all tables, or on those of `options["reset_mask"]`; the others stay.

        A seed s for all gives table i the seed s + i, as in gymnasium's own vector environments.
        """
        if seed is None or isinstance(seed, int):
            seeds = [None if seed is None else seed + number for number in range(self.num_envs)]
        else:
            seeds = list(seed)
        if len(seeds) != self.num_envs:
            raise ValueError(f"{len(seeds)} seeds for {self.num_envs} tables")
        mask = (options or {}).get("reset_mask")
        if mask is None:
            super().reset(seed=seeds[0])
            mask = np.ones(self.num_envs, dtype=np.bool_)
        self._begin(mask, seeds)
        return physics.observe(self.states), {}

    def step(self, actions: Any) -> Stepped:
        """Moves every pusher; tables whose episode is over are treated as the mode says."""
        again = self.over.copy()
        if self.mode is AutoresetMode.DISABLED and again.any():
            raise ValueError(f"the episodes of tables {np.flatnonzero(again).tolist()} are over; reset them")
        self.states = physics.step(self.states, np.asarray(actions, dtype=np.float64))
        self.ages = self.ages + 1
        if again.any():
            self._begin(again, [None] * self.num_envs)
        terminated = physics.reached(self.states) & ~again
        truncated = (self.ages >= physics.MAX_STEPS) & ~terminated & ~again
        self.over = terminated | truncated
        if self.render_mode is not None:
            for number in np.flatnonzero(~again):
                self.courses[number].append(self.states[number].copy())
        infos: dict[str, Any] = {}
        if self.mode is AutoresetMode.SAME_STEP and self.over.any():
            last = physics.observe(self.states)
            for number in np.flatnonzero(self.over):
                infos = self._add_info(infos, {"final_obs": last[number], "final_info": {}}, int(number))
            self._begin(self.over.copy(), [None] * self.num_envs)
        return physics.observe(self.states), terminated.astype(np.float64), terminated, truncated, infos

    def render(self) -> tuple[Any, ...] | None:
        """The course of each table so far as a picture."""
        if self.render_mode is None:
            return None
        return tuple(np.asarray(physics.picture(np.stack(course))) for course in self.courses)

    def _begin(self, mask: NDArray[np.bool_], seeds: Sequence[int | None]) -> None:
        for number, given in enumerate(seeds):
            if not mask[number]:
                continue
            own = int(self.np_random.integers(SEEDS)) if given is None else given
            self.states[number] = physics.start(own)
            self.courses[number] = [self.states[number].copy()]
        self.ages = np.where(mask, 0, self.ages)
        self.over = self.over & ~mask


class Push2D(gymnasium.Env[Any, Any]):
    """One table."""

    metadata = METADATA
    observation_space = OBSERVATION
    action_space = ACTION

    def __init__(self, *, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.tables = Push2DVector(1, autoreset_mode=AutoresetMode.DISABLED, render_mode=render_mode)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """A new episode."""
        super().reset(seed=seed)
        own = int(self.np_random.integers(SEEDS)) if seed is None else seed
        observations, _ = self.tables.reset(seed=[own])
        return observations[0], {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Moves the pusher."""
        observations, rewards, terminated, truncated, _ = self.tables.step(np.asarray(action)[None])
        return observations[0], float(rewards[0]), bool(terminated[0]), bool(truncated[0]), {}

    def render(self) -> Any:
        """The course so far as a picture."""
        frames = self.tables.render()
        return None if frames is None else frames[0]
