"""Environments by name: one kind of task whatever they are, one line where they are missing."""

import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from stablereward.errors import ConfigError
from stablereward.worlds.environments import PUSH, make

MOUNTAIN = "MountainCarContinuous-v0"


class Odd(gymnasium.Env):
    """A dictionary for an observation, actions up to 4, and rewards below 0; succeeds above 3."""

    observation_space = gymnasium.spaces.Dict(
        a=gymnasium.spaces.Box(-9, 9, (2,)), b=gymnasium.spaces.Box(-9, 9, (1,))
    )
    action_space = gymnasium.spaces.Box(-4.0, 4.0, (1,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return {"a": np.zeros(2, np.float32), "b": np.ones(1, np.float32)}, {}

    def step(self, action):
        seen = {"a": np.zeros(2, np.float32), "b": action}
        return seen, -1.0, False, False, {"is_success": float(action[0] > 3)}


def test_any_environment_becomes_a_flat_task_with_a_sparse_reward() -> None:
    gymnasium.register("tests/Odd-v0", entry_point=Odd)
    try:
        envs = make("tests/Odd-v0", 2)
    finally:
        del gymnasium.registry["tests/Odd-v0"]
    assert (
        envs.single_observation_space.shape == (3,)
        and envs.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    )
    assert envs.single_action_space.low == -1 and envs.single_action_space.high == 1
    assert envs.reset(seed=[1, 2])[0].tolist() == [[0, 0, 1]] * 2
    seen, reward, terminated, truncated, _ = envs.step(np.array([[0.5], [1.0]], np.float32))
    assert seen[:, 2].tolist() == [2, 4]
    assert reward.tolist() == [0, 1] and terminated.tolist() == [False, True] and not truncated.any()


def test_without_a_word_on_success_a_reward_is_one() -> None:
    envs = make(MOUNTAIN, 1)
    envs.reset(seed=[1])
    _, reward, terminated, _, _ = envs.step(np.ones((1, 1), np.float32))
    assert reward[0] == 0 and not terminated[0]
    state = envs.envs[0].unwrapped
    state.state = np.array([0.449, 0.07])
    _, reward, terminated, _, _ = envs.step(np.ones((1, 1), np.float32))
    assert reward[0] == 1 and terminated[0]


def test_push_never_resets_by_itself() -> None:
    assert make(PUSH, 3).metadata["autoreset_mode"] is AutoresetMode.DISABLED
    assert make(PUSH, 3, render=True).render_mode == "rgb_array"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nothing-v0", "doesn't exist"),
        ("no_such_module:Any-v0", "No module named 'no_such_module'"),
        ("CartPole-v1", "actions are a Box"),
    ],
)
def test_what_cannot_be_made_is_one_line(name: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        make(name, 1)
    assert "\n" not in str(caught.value)


def test_without_gymnasium_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ConfigError, match=r"pip install 'stablereward\[control\]'"):
        make(PUSH, 1)
