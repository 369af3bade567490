"""Of N one: by hand, and by laws over random scores."""

import random

import pytest

from stablereward.judges.selection import best_of, tiered, voted
from stablereward.types import Failure

NONE = Failure(reason="x")


def test_by_hand() -> None:
    assert best_of([0.1, 0.9, NONE, 0.9]) == 1 and best_of([NONE, None]) is None
    assert tiered([0.5, 1.0, 1.0, 0.0], [0.9, 0.2, 0.3, 1.0]) == 2
    assert tiered([1.0, 0.5], [NONE, 0.4]) is None and tiered([], []) is None
    assert voted(["a", "b", "b"]) == 1 and voted(["a", "b", None]) == 0 and voted([None]) is None
    assert voted(["a", "b", "b"], [0.9, 0.4, 0.4]) == 0
    assert voted(["a", "b", "b"], [0.9, 0.4, NONE]) == 0
    with pytest.raises(ValueError, match="at least 0"):
        voted(["a"], [-0.1])


def test_laws() -> None:
    rng = random.Random(0)
    for _ in range(200):
        num = rng.randrange(1, 9)
        scores = [rng.choice([0.25, 0.5, 0.75, 1.0]) for _ in range(num)]
        answers = [rng.choice("abc") for _ in range(num)]
        tiers = [rng.choice([0.0, 0.5, 1.0]) for _ in range(num)]
        best, chosen = best_of(scores), tiered(tiers, scores)
        assert best is not None and scores[best] == max(scores)
        assert tiered([1.0] * num, scores) == best
        assert chosen is not None and tiers[chosen] == max(tiers)
        assert voted(answers) == voted(answers, [0.3] * num)
        assert voted(answers, scores) == voted(answers, [score / sum(scores) for score in scores])
        assert voted(list(range(num)), scores) == best
