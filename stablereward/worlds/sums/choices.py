"""One right solution of a sum among wrong ones: what a judge of solutions is to find."""

import random

from stablereward.types import Preference
from stablereward.worlds.sums.checker import solved
from stablereward.worlds.sums.problems import problems, written


def choices(num: int, *, seed: int, wrong: int = 9) -> list[Preference]:
    """Held-out sums, each with a right solution and `wrong` different wrong ones as the writer writes them.

    The right one may stand anywhere. None is empty.
    """
    rng = random.Random(f"{seed}/choices")
    found = []
    for prompt in problems(num, seed=seed, held_out=True):
        right: str | None = None
        others: dict[str, None] = {}
        while right is None or len(others) < wrong:
            text = written(prompt, rng)
            if solved(prompt, text):
                right = right or text
            elif text and len(others) < wrong:
                others[text] = None
        place = rng.randrange(wrong + 1)
        responses = [*others]
        responses.insert(place, right)
        ranks = tuple(int(n != place) for n in range(wrong + 1))
        found.append(Preference(question=prompt.text, responses=tuple(responses), ranks=ranks))
    return found
