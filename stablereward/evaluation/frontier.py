"""What a policy has won by the time it is as far from its start as others: comparison at equal divergence."""

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
