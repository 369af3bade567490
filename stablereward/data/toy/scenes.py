"""Scenes: two to four coloured shapes in the cells of a 3 × 3 grid, drawn with PIL.

A scene is its truth; the picture is drawn from it with a jitter that the truth does not depend on.
"""

import math
import random
from dataclasses import dataclass

from PIL import Image, ImageDraw

COLOURS = {
    "red": (214, 48, 49),
    "green": (39, 158, 76),
    "blue": (42, 98, 214),
    "yellow": (240, 200, 30),
    "purple": (140, 60, 175),
    "black": (40, 42, 48),
}
SHAPES = ("circle", "square", "triangle", "star")
ROWS = ("top", "", "bottom")
COLUMNS = ("left", "", "right")
CELL_PIXELS = 28
"""One cell of the grid is one visual token of a Qwen2.5-VL (14-pixel patches, merged 2 × 2)."""
SIDE_PIXELS = 3 * CELL_PIXELS


@dataclass(frozen=True, slots=True, order=True)
class Thing:
    """One object: where it is (row and column 0..2), its colour and its shape."""

    row: int
    column: int
    colour: str
    shape: str

    @property
    def name(self) -> str:
        return f"{self.colour} {self.shape}"

    @property
    def place(self) -> str:
        return place_name(self.row, self.column)


@dataclass(frozen=True, slots=True)
class Scene:
    """The truth of one picture: its things in reading order, and the seed of the drawing's jitter."""

    things: tuple[Thing, ...]
    jitter: int

    @property
    def listing(self) -> str:
        """Every thing with its place, in reading order."""
        return ", ".join(f"{thing.name} {thing.place}" for thing in self.things)


def place_name(row: int, column: int) -> str:
    """The words for a cell: "top left", "top", … and "middle"."""
    return f"{ROWS[row]} {COLUMNS[column]}".strip() or "middle"


def random_scene(rng: random.Random) -> Scene:
    """A scene of two to four things; names may repeat, places may not."""
    cells = sorted(rng.sample(range(9), rng.randint(2, 4)))
    # A small palette per scene makes counting and telling apart worth asking about.
    colours = rng.sample(sorted(COLOURS), rng.choice((2, 3, 3)))
    shapes = rng.sample(SHAPES, rng.choice((2, 2, 3)))
    things = (Thing(cell // 3, cell % 3, rng.choice(colours), rng.choice(shapes)) for cell in cells)
    return Scene(tuple(things), rng.randrange(2**31))


def draw(scene: Scene) -> Image.Image:
    """The picture of a scene, 84 × 84 pixels, RGB. The same scene gives the same pixels."""
    rng = random.Random(scene.jitter)
    scale = 4  # Drawn larger and shrunk: smooth edges.
    side = SIDE_PIXELS * scale
    shade = rng.randint(236, 252)
    picture = Image.new("RGB", (side, side), (shade, shade, min(255, shade + rng.randint(-4, 3))))
    pen = ImageDraw.Draw(picture)
    for thing in scene.things:
        radius = rng.uniform(8.0, 11.0)
        slack = CELL_PIXELS / 2 - radius - 1
        x = (thing.column + 0.5) * CELL_PIXELS + rng.uniform(-slack, slack)
        y = (thing.row + 0.5) * CELL_PIXELS + rng.uniform(-slack, slack)
        fill = tuple(max(0, min(255, channel + rng.randint(-14, 14))) for channel in COLOURS[thing.colour])
        outline = [(x * scale, y * scale) for x, y in _outline(thing.shape, x, y, radius)]
        pen.polygon(outline, fill=fill)
    return picture.resize((SIDE_PIXELS, SIDE_PIXELS), Image.Resampling.LANCZOS)


def _outline(shape: str, x: float, y: float, radius: float) -> list[tuple[float, float]]:
    if shape == "square":
        half = radius * 0.84
        return [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)]
    if shape == "circle":
        return _polygon(x, y, [radius * 0.95] * 40)
    if shape == "triangle":
        return _polygon(x, y + radius * 0.2, [radius * 1.08] * 3)
    return _polygon(x, y, [radius * 1.1, radius * 0.45] * 5)


def _polygon(x: float, y: float, radii: list[float]) -> list[tuple[float, float]]:
    turn = 2 * math.pi / len(radii)
    return [(x + r * math.sin(i * turn), y - r * math.cos(i * turn)) for i, r in enumerate(radii)]
