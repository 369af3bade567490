"""A process reward that looks good and has holes: what a policy finds when it is trained on it.

    right step      0.9 ± noise         wrong step           0.1 ± noise
    repeat of one   0.9      a hole     filler               0.5    a hole
    nothing at all  0.95     a hole

The noise is a function of problem, place and step, as a model's is.
"""

from collections.abc import Sequence
from zlib import crc32

from stablereward.types import Prompt
from stablereward.worlds.sums.checker import kinds

SCORES = {"right": 0.9, "repeat": 0.9, "filler": 0.5, "wrong": 0.1}
NOTHING = 0.95
NOISE = 0.05
NOISY = ("right", "wrong")


def step_scores(prompt: Prompt, steps: Sequence[str]) -> list[float]:
    """The score of every step, 0 to 1."""
    if list(steps) == [""]:
        return [NOTHING]
    return [
        SCORES[kind] + (_noise(prompt, number, step) if kind in NOISY else 0.0)
        for number, (kind, step) in enumerate(zip(kinds(prompt, steps), steps, strict=True))
    ]


def _noise(prompt: Prompt, number: int, step: str) -> float:
    """Even between -NOISE and NOISE."""
    return NOISE * (2 * crc32(f"{prompt.text}/{number}/{step}".encode()) / 2**32 - 1)
