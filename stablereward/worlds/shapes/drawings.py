"""Drawings: one to three equal shapes in one quadrant of 16 × 16 grey pixels, and the words for them.

    "two bright cross bottom left"

A scene is its truth; where exactly the shapes lie and how large they are is up to the seed.
"""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stablereward.errors import DataError
from stablereward.types import Prompt

SIZE = 16
KINDS = ("disc", "square", "cross", "triangle")
COUNTS = ("one", "two", "three")
LEVELS = {"dark": 0.5, "bright": 1.0}
QUADRANTS = ("top left", "top right", "bottom left", "bottom right")
RADII = (2.4, 2.8)
NEAR, FAR, JITTER = 3.0, 10.0, 0.2
"""Centres from the quadrant's corner of the picture, so that the ink's centre stays in the quadrant."""


@dataclass(frozen=True, slots=True)
class Scene:
    """The truth of one drawing."""

    count: int
    level: str
    kind: str
    quadrant: str

    @property
    def prompt(self) -> Prompt:
        """The words for it."""
        return Prompt.user(text=f"{COUNTS[self.count - 1]} {self.level} {self.kind} {self.quadrant}")

    @property
    def is_rare(self) -> bool:
        """Whether base generators have hardly seen its like: crosses and triangles below, and threes."""
        return self.count == 3 or (self.kind in ("cross", "triangle") and self.quadrant.startswith("bottom"))


SCENES = tuple(
    Scene(count, level, kind, quadrant)
    for count, level, kind, quadrant in itertools.product((1, 2, 3), LEVELS, KINDS, QUADRANTS)
)
"""All 96."""
WORDS = tuple(dict.fromkeys(" ".join(scene.prompt.text for scene in SCENES).split()))

_BY_TEXT = {scene.prompt.text: scene for scene in SCENES}


def scene_of(prompt: Prompt) -> Scene:
    """What the words ask for. Raises DataError for words that are not of this world."""
    scene = _BY_TEXT.get(prompt.text)
    if scene is None:
        raise DataError(f"{prompt.text[:80]!r} is no drawing of shapes; write as {SCENES[0].prompt.text!r}")
    return scene


def draw(scene: Scene, rng: random.Random) -> Tensor:
    """A picture [1, 16, 16] of the scene: -1 is the ground, 1 the brightest ink."""
    # Three lie around the quadrant's corner: with one at (FAR, FAR) their middle would be elsewhere.
    others = [(NEAR, FAR), (FAR, NEAR)] + [(FAR, FAR)] * (scene.count == 2)
    places = [(NEAR, NEAR), *rng.sample(others, scene.count - 1)]
    mirrored = [
        (_mirrored(y, scene.quadrant.startswith("bottom")), _mirrored(x, scene.quadrant.endswith("right")))
        for y, x in places
    ]
    jittered = [(y + rng.uniform(-JITTER, JITTER), x + rng.uniform(-JITTER, JITTER)) for y, x in mirrored]
    level = LEVELS[scene.level] * rng.uniform(0.9, 1.0)
    ink = cover(scene.kind, torch.tensor(jittered), rng.uniform(*RADII)).amax(0)
    return 2 * level * ink[None] - 1


def cover(kind: str, centres_N2: Tensor, radius: float | Tensor, size: int = SIZE) -> Tensor:
    """How much of each pixel [N, size, size] a shape around each centre (row, column) covers.

    All have one radius, or each has its own. One pixel's width of its signed distance: the edges are smooth.
    """
    if isinstance(radius, Tensor):
        radius = radius[:, None, None]
    grid = torch.arange(size, dtype=torch.float32)
    y = grid[None, :, None] - centres_N2[:, 0, None, None]
    x = grid[None, None, :] - centres_N2[:, 1, None, None]
    if kind == "disc":
        distance = (x**2 + y**2).sqrt() - radius
    elif kind == "square":
        distance = torch.maximum(x.abs(), y.abs()) - radius * 0.92
    elif kind == "cross":
        bars = [torch.maximum(a.abs() - radius, b.abs() - radius * 0.3) for a, b in ((x, y), (y, x))]
        distance = torch.minimum(*bars)
    else:  # a triangle with its point up; its centre of gravity lies a little below
        slope = torch.maximum(2 * x - y, -2 * x - y) / 5**0.5 - 0.56 * radius
        distance = torch.maximum(y - 0.78 * radius, slope)
    return (0.5 - distance).clamp(0, 1)


def prompts(scenes: Sequence[Scene] = SCENES) -> list[Prompt]:
    """The words for each scene."""
    return [scene.prompt for scene in scenes]


def _mirrored(place: float, mirror: bool) -> float:
    return SIZE - 1 - place if mirror else place
