"""Environments under way: a resumed run finds them as they were, whatever environment it is."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor

from stablereward.errors import TrainingError
from stablereward.policies.control import ChunkPolicy, Plans
from stablereward.recipes.control.episodes import FIRST_SEED, Experience, play, rollout_rows, strip, success
from stablereward.training.replay import Replay, generator
from stablereward.worlds.environments import PUSH, make
from stablereward.worlds.push.demonstrator import demonstrate

MOUNTAIN = "MountainCarContinuous-v0"


def begun(name: str, **settings: bool) -> Experience:
    envs = make(name, 3)
    torch.manual_seed(0)
    sizes = {
        "observation": envs.single_observation_space.shape[0],
        "action": envs.single_action_space.shape[0],
    }
    policy = ChunkPolicy(**sizes, chunk=7, hidden=8)
    return Experience(envs, Plans(policy, 3), Replay(2000, 3, n=3, gamma=0.9), 5, **settings)


def go(experience: Experience, steps: int) -> None:
    """The base with noise, as a function of the number of the step."""
    for _ in range(steps):
        number = experience.replay.written
        noise = torch.randn(experience.base.shape, generator=generator(0, "go", number))
        experience.step((experience.base + noise).clamp(-1, 1))


def copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in state.items()}


@pytest.mark.parametrize("name", [PUSH, MOUNTAIN])
@pytest.mark.parametrize("steps", [0, 1, 79, 80, 100])
def test_what_was_put_back_goes_on_as_it_would_have(name: str, steps: int) -> None:
    whole, resumed = begun(name), begun(name)
    go(whole, steps)
    go(resumed, 3)
    replay, own = copied(whole.replay.state_dict()), copied(whole.state_dict())
    resumed.replay.load_state_dict(replay)
    resumed.load_state_dict(own)
    for experience in (whole, resumed):
        go(experience, 30)
    for ours, theirs in ((whole, resumed), (whole.replay, resumed.replay)):
        found, expected = ours.state_dict(), theirs.state_dict()
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in found)


def test_episodes_of_different_ages_are_put_back_too() -> None:
    """A pusher that knows how ends its episodes early, so that the tables are out of step."""
    whole, resumed = begun(PUSH), begun(PUSH)

    def push(experience: Experience, steps: int) -> None:
        for _ in range(steps):
            rng = np.random.default_rng(experience.replay.written)
            action = demonstrate(experience.observation.numpy(), rng, 0.2)
            experience.step(torch.from_numpy(action).float())

    push(whole, 130)
    assert len(set(whole.age_E.tolist())) == 3 and whole.number_E.min() >= 1
    resumed.replay.load_state_dict(copied(whole.replay.state_dict()))
    resumed.load_state_dict(copied(whole.state_dict()))
    for experience in (whole, resumed):
        push(experience, 60)
    assert torch.equal(whole.observation, resumed.observation)
    assert torch.equal(whole.recent_R3, resumed.recent_R3) and len(whole.recent_R3) > 3
    assert whole.figures() == resumed.figures() and whole.figures()["episodes/success"] > 0.9


def test_a_replay_that_is_shorter_than_an_episode_cannot_be_gone_on_from() -> None:
    experience = begun(PUSH)
    experience.replay = Replay(30, 3, n=3, gamma=0.9)
    go(experience, 20)
    with pytest.raises(TrainingError, match=r"20 steps is under way, of which the replay has 10"):
        experience.load_state_dict(copied(experience.state_dict()))


def test_a_row_tells_where_a_step_led_even_at_the_end() -> None:
    experience = begun(PUSH)
    go(experience, 85)
    rows = experience.replay.rows
    assert rows is not None and rows.over[79].all() and not rows.terminated[79].any()
    inside = ~rows.over[:84]
    assert torch.equal(rows.next_observation[:84][inside], rows.observation[1:85][inside])
    assert torch.equal(rows.next_base[:84][inside], rows.base[1:85][inside])
    # What a time-out led to is not where the next episode begins.
    assert not torch.equal(rows.next_observation[79], rows.observation[80])
    step = (rows.next_observation[79] - rows.observation[79])[:, :2]
    assert step.abs().max() <= 0.05 + 1e-6
    assert experience.num_steps == 255 and experience.figures()["env_steps"] == 255


def test_timeouts_are_terminal_where_the_released_code_is_followed() -> None:
    experience = begun(PUSH, terminal_timeouts=True)
    go(experience, 80)
    assert experience.replay.rows is not None and experience.replay.rows.terminated[79].all()


def test_starts_are_never_those_that_are_measured() -> None:
    experience = begun(PUSH)
    assert min(experience._seeds()) >= FIRST_SEED and len(set(experience._seeds())) == 3


def hand(seen: Tensor, base: Tensor) -> Tensor:
    return torch.from_numpy(demonstrate(seen.numpy(), np.random.default_rng(0), 0.0)).float()


def test_episodes_are_measured_on_the_same_seeds_however_many_at_once() -> None:
    policy = ChunkPolicy(observation=10, action=2, chunk=4, hidden=4)
    policy.net.silence()
    found = [play(make(PUSH, count), policy, hand, 5) for count in (1, 2, 5)]
    assert found[0] == found[1] == found[2]
    assert [one.seed for one in found[0]] == list(range(5)) and success(found[0]) == 1
    assert all(one.reward == 1 and 10 < one.steps < 80 and one.residual > 0.3 for one in found[0])
    still = play(make(PUSH, 5), policy, lambda _, base: base, 5)
    assert success(still) == 0 and {one.steps for one in still} == {80} and still[0].residual == 0


def test_episodes_can_be_looked_at() -> None:
    policy = ChunkPolicy(observation=10, action=2, chunk=4, hidden=4)
    played = play(make(PUSH, 2, render=True), policy, hand, 2, frames=True)
    assert [len(one.frames) for one in played] == [one.steps + 1 for one in played]
    [first, _] = rollout_rows(7, played)
    assert first["update"] == 7 and first["completions"][0]["images"][0].size == (4 * 96, 96)
    assert first["completions"][0]["parts"]["result"] == 1
    assert strip([np.zeros((4, 4, 3), np.uint8)]).size == (4, 4)
    assert rollout_rows(7, play(make(PUSH, 2), policy, hand, 1))[0]["completions"][0]["images"] == []
