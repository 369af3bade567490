"""What happens on the table: a point pushes a disc without friction, so that it slips off what is off centre.

A state is [pusher x y, block x y, goal x y] on a table from -1 to 1. Functions take and give [E, ...], of E
tables at once.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Array = NDArray[np.float64]

SPEED = 0.05
"""How far an action of 1 moves the pusher."""
RADIUS = 0.15
"""Of the block."""
REACHED = 0.08
"""The block is at the goal where it is nearer than this."""
MAX_STEPS = 80
NUM_STATE = 6
SHOWN_SIZE = 96


def start(seed: int) -> Array:
    """A table [6] to begin with: a function of the seed."""
    rng = np.random.default_rng(seed)
    block = rng.uniform(-0.5, 0.5, 2)
    goal = block
    while np.linalg.norm(goal - block) < 0.5:
        goal = rng.uniform(-0.75, 0.75, 2)
    pusher = block
    while np.linalg.norm(pusher - block) < RADIUS + 0.1:
        pusher = rng.uniform(-0.9, 0.9, 2)
    return np.concatenate([pusher, block, goal])


def step(states: Array, actions: Array) -> Array:
    """The tables after the pushers moved by SPEED · action; a block that is met moves out of the way."""
    pusher = np.clip(states[:, :2] + SPEED * np.clip(actions, -1, 1), -1, 1)
    block, goal = states[:, 2:4], states[:, 4:]
    away = block - pusher
    distance = np.linalg.norm(away, axis=1, keepdims=True)
    away = away / np.maximum(distance, 1e-9)
    block = np.clip(np.where(distance < RADIUS, pusher + RADIUS * away, block), -1, 1)
    return np.concatenate([pusher, block, goal], axis=1)


def reached(states: Array) -> NDArray[np.bool_]:
    """Where the block is at the goal."""
    found: NDArray[np.bool_] = np.linalg.norm(states[:, 2:4] - states[:, 4:], axis=1) < REACHED
    return found


def observe(states: Array) -> NDArray[np.float32]:
    """The state, the way from pusher to block and that from block to goal: [E, 10]."""
    pusher, block, goal = states[:, :2], states[:, 2:4], states[:, 4:]
    return np.concatenate([states, block - pusher, goal - block], axis=1).astype(np.float32)


def picture(states: Array) -> Image.Image:
    """The course [T, 6] of a table: where the pusher (red) and the block (blue) went, and the goal's ring."""
    canvas = Image.new("RGB", (SHOWN_SIZE, SHOWN_SIZE), "white")
    pen = ImageDraw.Draw(canvas)

    def at(point: Array) -> tuple[float, float]:
        return (float(point[0]) + 1) * SHOWN_SIZE / 2, (1 - float(point[1])) * SHOWN_SIZE / 2

    def ring(point: Array, radius: float, **colours: Any) -> None:
        (x, y), size = at(point), radius * SHOWN_SIZE / 2
        pen.ellipse((x - size, y - size, x + size, y + size), **colours)

    ring(states[0, 4:], REACHED, outline="green", width=2)
    ring(states[0, 2:4], RADIUS, outline="lightblue")
    ring(states[-1, 2:4], RADIUS, outline="blue", width=2)
    if len(states) > 1:
        pen.line([at(one) for one in states[:, 2:4]], fill="blue")
        pen.line([at(one) for one in states[:, :2]], fill="red")
    ring(states[-1, :2], 0.03, fill="red")
    return canvas
