"""The oracle of the world of shapes: what a picture really shows. Nothing is ever trained on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stablereward.types import Prompt
from stablereward.worlds.shapes.drawings import KINDS, RADII, SIZE, cover, scene_of

FAINTEST = 0.2
"""Ink below this level, where 1 is the brightest, is not seen."""
SMALLEST = 4
"""Pixels of the smallest thing that is seen."""
LIKENESS = 0.85
"""Correlation with the clean drawing of a class from which a thing counts as of that class."""
SIZES = torch.linspace(RADII[0] - 0.2, RADII[1] + 0.2, 5)


@dataclass(frozen=True, slots=True)
class Seen:
    """What is in a picture: the class of each thing ("" for none of the four) and the quadrant of the ink."""

    kinds: tuple[str, ...]
    quadrant: str


def rule(prompt: Prompt, picture_CHW: Tensor) -> float:
    """1 where class, count and quadrant are all what the words ask for, else 0."""
    scene, found = scene_of(prompt), see(picture_CHW)
    return float(found.kinds == (scene.kind,) * scene.count and found.quadrant == scene.quadrant)


def see(picture_CHW: Tensor) -> Seen:
    """Reads a picture in [-1, 1]: things are connected ink, each of the class that it looks most like."""
    level = ((picture_CHW.detach().float().mean(0).cpu() + 1) / 2).clamp(0, 1)
    ink = level > max(FAINTEST, 0.5 * float(level.max()))
    things = [thing for thing in _connected(ink) if int(thing.sum()) >= SMALLEST]
    if not things:
        return Seen((), "")
    together = torch.stack(things).any(0)
    y, x = _centre(level * together)
    half = (SIZE - 1) / 2
    quadrant = f"{'top' if y < half else 'bottom'} {'left' if x < half else 'right'}"
    return Seen(tuple(_kind(level, thing) for thing in things), quadrant)


def diversity(pictures_NCHW: Tensor) -> float:
    """Mean distance between two pictures of one prompt, per pixel: the root of the mean square. 0 for one."""
    flat = pictures_NCHW.detach().float().flatten(1)
    if len(flat) < 2:
        return 0.0
    distances = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist") / flat.shape[1] ** 0.5
    return float(distances.sum() / (len(flat) * (len(flat) - 1)))


def figures(prompts: Sequence[Prompt], pictures: Sequence[Tensor]) -> dict[str, float]:
    """Means over pictures, of which some share a prompt: `rule`, and `diversity` within a prompt."""
    of_prompt: dict[str, list[Tensor]] = {}
    for prompt, picture in zip(prompts, pictures, strict=True):
        of_prompt.setdefault(prompt.text, []).append(picture)
    right = [rule(prompt, picture) for prompt, picture in zip(prompts, pictures, strict=True)]
    spread = [diversity(torch.stack(own)) for own in of_prompt.values() if len(own) > 1]
    found = {"rule": sum(right) / len(right)}
    return {**found, "diversity": sum(spread) / len(spread)} if spread else found


def _kind(level: Tensor, thing: Tensor) -> str:
    # The soft edge belongs to the thing, other things do not.
    near = torch.nn.functional.max_pool2d(thing[None, None].float(), 3, 1, 1)[0, 0] > 0
    own = torch.where(near, level, 0.0)
    centres = torch.tensor([_centre(own)]).expand(len(SIZES), 2)
    likeness = {kind: _likeness(own, cover(kind, centres, SIZES)) for kind in KINDS}
    best = max(likeness, key=lambda kind: likeness[kind])
    return best if likeness[best] >= LIKENESS else ""


def _likeness(own: Tensor, clean_NHW: Tensor) -> float:
    """The best correlation with one of the clean drawings."""
    ours, clean = own.flatten() - own.mean(), clean_NHW.flatten(1)
    clean = clean - clean.mean(1, keepdim=True)
    return float(((clean @ ours) / (clean.norm(dim=1) * ours.norm()).clamp(min=1e-6)).max())


def _centre(weight: Tensor) -> tuple[float, float]:
    places = torch.arange(SIZE, dtype=torch.float32)
    total = weight.sum()
    return float((weight.sum(1) * places).sum() / total), float((weight.sum(0) * places).sum() / total)


def _connected(ink: Tensor) -> Iterator[Tensor]:
    """Each group of pixels that touch along an edge, as a mask, in reading order."""
    left = {(y, x) for y, x in ink.nonzero().tolist()}
    while left:
        thing = torch.zeros_like(ink)
        waiting = [min(left)]
        left.discard(waiting[0])
        while waiting:
            y, x = waiting.pop()
            thing[y, x] = True
            for beside in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if beside in left:
                    left.discard(beside)
                    waiting.append(beside)
        yield thing
