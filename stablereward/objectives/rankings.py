"""How far two rankings of the same things agree."""

from collections.abc import Sequence
from itertools import combinations
from math import sqrt


def kendall(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Kendall's τ-b of two lists of scores, in [-1, 1]: pairs in the same order less those in the other.

    Pairs that a list ties are no disagreement and shrink the whole. None where a list ties all, so that
    there is no order to agree on. https://doi.org/10.1093/biomet/33.3.239
    """
    sides = [[(x > y) - (x < y) for x, y in combinations(scores, 2)] for scores in (first, second)]
    agreed = sum(a * b for a, b in zip(*sides, strict=True))
    sizes = [sum(map(abs, side)) for side in sides]
    return agreed / sqrt(sizes[0] * sizes[1]) if all(sizes) else None


def agreement(first: Sequence[float], second: Sequence[float]) -> float | None:
    """(τ + 1) / 2, in [0, 1]: the share of pairs in the same order where none is tied. None as for τ."""
    found = kendall(first, second)
    return None if found is None else (found + 1) / 2
