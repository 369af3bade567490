"""Environments of gymnasium by their registered names, each made a task with a sparse reward."""

from importlib import import_module
from typing import Any

import numpy as np

from stablereward.errors import ConfigError

PUSH = "stablereward/Push2D-v0"
SUCCESS = ("is_success", "success")
"""What environments call it in their info."""


def make(name: str, num_envs: int, *, render: bool = False) -> Any:
    """A `gymnasium.vector.VectorEnv` that never resets by itself: flat observations, actions in [-1, 1].

    `name` is what `gymnasium.make` takes, "module:Name-v0" to import a module first. The reward is 1 in the
    step that succeeds, which terminates, and else 0: success is what the info says, without it a reward above
    0. Raises ConfigError where gymnasium or the environment is missing or its actions are not numbers.
    """
    gymnasium = _gymnasium()
    if name == PUSH and PUSH not in gymnasium.registry:
        home = "stablereward.worlds.push.environment"
        gymnasium.register(PUSH, entry_point=f"{home}:Push2D", vector_entry_point=f"{home}:Push2DVector")
    given = {"render_mode": "rgb_array"} if render else {}
    try:
        if name == PUSH:
            return gymnasium.make_vec(
                name, num_envs, vectorization_mode="vector_entry_point", autoreset_mode="Disabled", **given
            )
        return gymnasium.make_vec(
            name,
            num_envs,
            vectorization_mode="sync",
            vector_kwargs={"autoreset_mode": "Disabled"},
            wrappers=(_sparse,),
            **given,
        )
    except (gymnasium.error.Error, ImportError, AssertionError) as error:
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigError(
            f"environment {name!r} cannot be made: {cause}; give the name of one that is registered, or "
            "module:Name to import a module first"
        ) from error


def _sparse(environment: Any) -> Any:
    """The environment as a task with a sparse reward."""
    gymnasium = _gymnasium()
    if not isinstance(environment.action_space, gymnasium.spaces.Box):
        raise ConfigError(
            f"{environment} takes no actions that are numbers; give one whose actions are a Box"
        )

    class Sparse(gymnasium.Wrapper):  # type: ignore[misc, name-defined]
        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            observation, reward, terminated, truncated, info = self.env.step(action)
            said = [bool(info[name]) for name in SUCCESS if name in info]
            success = any(said) if said else float(reward) > 0
            return observation, float(success), terminated or success, truncated, info

    flat = gymnasium.wrappers.FlattenObservation(Sparse(environment))
    return gymnasium.wrappers.RescaleAction(flat, np.float32(-1), np.float32(1))


def _gymnasium() -> Any:
    try:
        return import_module("gymnasium")
    except ImportError:
        raise ConfigError("control needs gymnasium; pip install 'stablereward[control]'") from None
