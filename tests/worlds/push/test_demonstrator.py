"""The shaky hand arrives, and what it leaves is a row of whole episodes."""

import numpy as np

from stablereward.worlds.push import physics
from stablereward.worlds.push.demonstrator import demonstrate, demonstrations


def test_a_still_hand_always_arrives() -> None:
    states, rng = np.stack([physics.start(seed) for seed in range(100)]), np.random.default_rng(0)
    arrived = np.zeros(100, dtype=bool)
    for _ in range(physics.MAX_STEPS):
        states = physics.step(states, demonstrate(physics.observe(states), rng, noise=0.0))
        arrived |= physics.reached(states)
    assert arrived.all()


def test_demonstrations_are_whole_episodes_that_arrived() -> None:
    made = demonstrations(5, 3, 0.3)
    over = made["over"]
    assert over.sum() == 5 and over[-1] and np.array_equal(made["terminated"], over)
    assert np.array_equal(made["reward"], over.astype(np.float32))
    inside = ~over[:-1]
    assert np.array_equal(made["next_observation"][:-1][inside], made["observation"][1:][inside])
    assert np.abs(made["action"]).max() <= 1 and made["action"].dtype == np.float32
    again, other = demonstrations(5, 3, 0.3), demonstrations(5, 4, 0.3)
    assert np.array_equal(again["action"], made["action"])
    assert not np.array_equal(other["action"][:10], made["action"][:10])
