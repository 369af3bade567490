"""Of N responses one is taken: the best by score, the answer with most votes, the best of the best tier.

All give an index; of equals the earliest, so that nothing depends on chance. What has no score, or no answer,
is not taken; None where nothing is left.
"""

import math
from collections.abc import Hashable, Sequence

from stablereward.types import Failure

Score = float | Failure | None


def best_of(scores: Sequence[Score]) -> int | None:
    """The highest score: best-of-N."""
    known = [(score, -n) for n, score in enumerate(scores) if isinstance(score, int | float)]
    return -max(known)[1] if known else None


def tiered(tiers: Sequence[Score], scores: Sequence[Score]) -> int | None:
    """The highest score within the highest tier, whatever the scores below it.

    With whether and what a query returned as tiers that is GradeSQL's double ranking
    (https://arxiv.org/abs/2509.01308).
    """
    first = best_of(tiers)
    if first is None:
        return None
    among = [n for n, tier in enumerate(tiers) if tier == tiers[first]]
    place = best_of([scores[n] for n in among])
    return None if place is None else among[place]


def voted(answers: Sequence[Hashable | None], weights: Sequence[Score] | None = None) -> int | None:
    """The first response with the answer that has most votes: self-consistency.

    Each vote counts one, or its weight: with confidences that is the weighted vote of
    https://arxiv.org/abs/2510.13501. To divide all weights by their sum changes nothing. Raises ValueError
    for a weight below 0.
    """
    shares: dict[Hashable, list[float]] = {}
    for answer, weight in zip(answers, weights or [1.0] * len(answers), strict=True):
        if answer is None or not isinstance(weight, int | float):
            continue
        if weight < 0:
            raise ValueError(f"a vote weighs {weight}; a weight is at least 0")
        shares.setdefault(answer, []).append(weight)
    if not shares:
        return None
    # Sums that are equal but for the order of their terms are equal.
    sums = {answer: math.fsum(sorted(own)) for answer, own in shares.items()}
    return answers.index(max(sums, key=lambda answer: sums[answer]))
