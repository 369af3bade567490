"""The world of push is an environment of gymnasium, by gymnasium's own checks and beside its own vectors."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from stablereward.worlds.environments import PUSH, make
from stablereward.worlds.push import physics
from stablereward.worlds.push.demonstrator import demonstrate
from stablereward.worlds.push.environment import Push2D, Push2DVector


@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
def test_gymnasium_s_own_checker_is_content(render_mode: str | None) -> None:
    make(PUSH, 1)
    check_env(gymnasium.make(PUSH, render_mode=render_mode).unwrapped)


def both(mode: AutoresetMode, num: int) -> tuple[Push2DVector, SyncVectorEnv]:
    return Push2DVector(num, autoreset_mode=mode), SyncVectorEnv([Push2D] * num, autoreset_mode=mode)


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_many_tables_are_those_of_gymnasium_s_vector_of_one(mode: AutoresetMode) -> None:
    """Up to the starts that are not seeded, of which either draws its own."""
    ours, theirs = both(mode, 6)
    assert isinstance(ours, VectorEnv) and ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space and ours.metadata["autoreset_mode"] is mode
    seen, expected = (one.reset(seed=5)[0] for one in (ours, theirs))
    rng, mine = np.random.default_rng(0), np.ones(6, dtype=bool)
    for _ in range(physics.MAX_STEPS + 3):
        assert np.array_equal(seen[mine], expected[mine])
        actions = demonstrate(expected, rng, 0.2).astype(np.float32)
        seen, *flags, info = ours.step(actions)
        expected, *their_flags, their_info = theirs.step(actions)
        for flag, their in zip(flags, their_flags, strict=True):
            assert np.array_equal(flag[mine], their[mine]) and flag.dtype == their.dtype
        over = their_flags[1] | their_flags[2]
        if mode is AutoresetMode.SAME_STEP and (over & mine).any():
            for number in np.flatnonzero(over & mine):
                assert np.array_equal(info["final_obs"][number], their_info["final_obs"][number])
            assert info.keys() == their_info.keys()
        if mode is AutoresetMode.DISABLED and over.any():
            seeds = list(range(100, 106))
            seen, expected = (
                one.reset(seed=seeds, options={"reset_mask": over.copy()})[0] for one in (ours, theirs)
            )
        elif mode is not AutoresetMode.DISABLED:
            mine &= ~over
    assert mode is AutoresetMode.DISABLED or not mine.any()


def test_the_step_after_the_end_begins_anew() -> None:
    tables = Push2DVector(1)
    tables.reset(seed=0)
    for step in range(1, physics.MAX_STEPS + 1):
        _, _, terminated, truncated, _ = tables.step(np.zeros((1, 2)))
        assert not terminated[0] and truncated[0] == (step == physics.MAX_STEPS)
    seen, reward, terminated, truncated, _ = tables.step(np.ones((1, 2)))
    assert not (reward[0] or terminated[0] or truncated[0])
    assert not np.array_equal(seen[0], physics.observe(physics.start(0)[None])[0])
    assert tables.ages[0] == 0


def test_episodes_without_a_seed_follow_from_that_of_the_first() -> None:
    starts = []
    for seed in (3, 3, 4, [3, 9]):
        tables = Push2DVector(2)
        tables.reset(seed=seed)
        starts.append(tables.reset()[0])
    assert np.array_equal(starts[0], starts[1]) and np.array_equal(starts[0], starts[3])
    assert not np.array_equal(starts[0], starts[2])


def test_a_table_that_is_over_must_be_reset_where_nothing_resets_it() -> None:
    tables = Push2DVector(2, autoreset_mode="Disabled")
    tables.reset(seed=0)
    for _ in range(physics.MAX_STEPS):
        tables.step(np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"tables \[0, 1\] are over; reset them"):
        tables.step(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="1 seeds for 2 tables"):
        tables.reset(seed=[1])


def test_pictures_show_the_course_so_far() -> None:
    tables = Push2DVector(2, render_mode="rgb_array")
    tables.reset(seed=0)
    first = tables.render()
    tables.step(np.ones((2, 2)))
    second = tables.render()
    assert len(first) == 2 and first[0].shape == (96, 96, 3)
    assert not np.array_equal(first[0], second[0])
    assert Push2DVector(2).render() is None and Push2D().render() is None
