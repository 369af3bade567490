"""A shaky hand that knows how to push, and the episodes that it leaves for imitation."""

import random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stablereward.worlds.push import physics
from stablereward.worlds.push.physics import RADIUS, SPEED, Array


def demonstrate(observations: NDArray[Any], rng: np.random.Generator, noise: float = 0.3) -> Array:
    """What a shaky hand does: around the block to its far side, then at the goal."""
    to_block, to_goal = observations[:, 6:8].astype(float), observations[:, 8:10].astype(float)
    ahead = to_goal / np.maximum(np.linalg.norm(to_goal, axis=1, keepdims=True), 1e-9)
    along = (to_block * ahead).sum(1, keepdims=True)
    aside = to_block - along * ahead
    behind = (along > 0.5 * RADIUS) & (np.linalg.norm(aside, axis=1, keepdims=True) < 0.35 * RADIUS)
    push = ahead + 12 * aside
    around = to_block - (RADIUS + 0.04) * ahead
    around = around / np.maximum(np.linalg.norm(around, axis=1, keepdims=True), 0.5 * SPEED)
    # Near the block what would meet it is left out, and the pusher goes round.
    distance = np.linalg.norm(to_block, axis=1, keepdims=True)
    inward = to_block / np.maximum(distance, 1e-9)
    meets = (distance < RADIUS + 0.06) & ((around * inward).sum(1, keepdims=True) > 0)
    side = np.stack([-inward[:, 1], inward[:, 0]], axis=1)
    turn = np.where((side * around).sum(1, keepdims=True) >= 0, 1.0, -1.0)
    around = np.where(meets, turn * side - 0.3 * inward * (distance < RADIUS + 0.03), around)
    wanted = np.where(behind, push, around)
    shaken = np.clip(wanted, -1, 1) + noise * rng.standard_normal(wanted.shape)
    done: Array = np.clip(shaken, -1, 1)
    return done


def demonstrations(num: int, seed: int, noise: float) -> dict[str, NDArray[Any]]:
    """The steps of `num` episodes that reached the goal, one episode after the other.

    `over` marks the last step of each, which is `terminated` here.
    """
    rng, starts = np.random.default_rng(seed), random.Random(f"{seed}/demonstrations")
    found: list[dict[str, Array]] = []
    while len(found) < num:
        episode = _episode(physics.start(starts.getrandbits(31)), rng, noise)
        if episode["terminated"][-1]:
            found.append(episode)
    return {name: np.concatenate([episode[name] for episode in found]) for name in found[0]}


def _episode(state: Array, rng: np.random.Generator, noise: float) -> dict[str, NDArray[Any]]:
    states = [state[None]]
    actions: list[Array] = []
    while len(actions) < physics.MAX_STEPS and not physics.reached(states[-1])[0]:
        actions.append(demonstrate(physics.observe(states[-1]), rng, noise))
        states.append(physics.step(states[-1], actions[-1]))
    observations = physics.observe(np.concatenate(states))
    terminated = physics.reached(np.concatenate(states[1:]))
    over = np.arange(len(actions)) == len(actions) - 1
    return {
        "observation": observations[:-1],
        "action": np.concatenate(actions).astype(np.float32),
        "reward": terminated.astype(np.float32),
        "terminated": terminated,
        "over": over,
        "next_observation": observations[1:],
    }
