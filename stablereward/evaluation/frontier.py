"""Fronts of two objectives: reward at equal divergence, and the area that a front dominates."""

from collections.abc import Sequence
from itertools import pairwise


def reached(path: Sequence[tuple[float, float]], mark: float) -> float | None:
    """The second of a path's pairs where its first reaches the mark, on a line between two; None if never.

    With (KL, reward) of every update that is the reward at equal KL, as in https://arxiv.org/abs/2210.10760.
    """
    for (x, a), (y, b) in pairwise(path):
        if x <= mark <= y:
            return a if x == y else a + (b - a) * (mark - x) / (y - x)
    return None


def hypervolume(points: Sequence[tuple[float, float]], reference: tuple[float, float]) -> float:
    """The area that points of two objectives, of which more is better, dominate above a reference point.

    A point that is not above the reference in both adds nothing, nor does one that another dominates.
    The S-metric, https://doi.org/10.1109/4235.797969.
    """
    area, height = 0.0, reference[1]
    for x, y in sorted(points, reverse=True):
        if x > reference[0] and y > height:
            area += (x - reference[0]) * (y - height)
            height = y
    return area
