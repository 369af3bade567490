"""Sums worked out step by step: the problems, and how they are written.

    47+85
    7+5=12      the last digits, and what is carried
    4+8+1=13    the first digits and the carry
    132         the sum

One step a line; a line break separates two steps. The writer errs now and then, skips the working, says a
line again or says nothing at all, so that a policy taught by him can find all of it.
"""

import random
from dataclasses import dataclass
from zlib import crc32

from stablereward.types import Prompt

SEPARATOR = "\n"
FILLER = ("ok", "hm")
WORDS = ("+", "=", SEPARATOR, *FILLER, *map(str, range(10)))
"""A token each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How often the writer errs in a line, skips the working and then errs, repeats a line, says filler, or
    nothing."""

    mistake: float = 0.12
    skips: float = 0.15
    guesses: float = 0.6
    repeats: float = 0.03
    filler: float = 0.03
    nothing: float = 0.01


HABITS = Habits()


def problem(a: int, b: int) -> Prompt:
    """a + b as a question."""
    return Prompt.user(text=f"{a}+{b}")


def terms(prompt: Prompt) -> tuple[int, int]:
    """The two numbers of a problem."""
    a, b = prompt.text.split("+")
    return int(a), int(b)


def problems(num: int, *, seed: int, held_out: bool = False) -> list[Prompt]:
    """Sums of two numbers of two digits. Every tenth of all pairs is held out."""
    rng = random.Random(f"{seed}/{held_out}")
    found: list[Prompt] = []
    while len(found) < num:
        made = problem(rng.randrange(10, 100), rng.randrange(10, 100))
        if (crc32(made.text.encode()) % 10 == 0) == held_out:
            found.append(made)
    return found


def working(prompt: Prompt) -> list[str]:
    """The right steps, the sum last."""
    a, b = terms(prompt)
    ones = a % 10 + b % 10
    carry = f"+{ones // 10}" if ones >= 10 else ""
    return [
        f"{a % 10}+{b % 10}={ones}",
        f"{a // 10}+{b // 10}{carry}={a // 10 + b // 10 + ones // 10}",
        str(a + b),
    ]


def written(prompt: Prompt, rng: random.Random, habits: Habits = HABITS) -> str:
    """What the writer writes."""
    if rng.random() < habits.nothing:
        return ""
    right = working(prompt)
    mistake = habits.mistake
    if rng.random() < habits.skips:
        right, mistake = right[-1:], habits.guesses
    lines: list[str] = []
    for line in right:
        lines.append(_mistaken(line, rng) if rng.random() < mistake else line)
        while rng.random() < habits.repeats:
            lines.append(rng.choice(lines))
        while rng.random() < habits.filler:
            lines.append(rng.choice(FILLER))
    return SEPARATOR.join(lines)


def _mistaken(line: str, rng: random.Random) -> str:
    """The line with one digit of its result wrong."""
    head, equals, result = line.rpartition("=")
    place = rng.randrange(len(result))
    other = rng.choice([digit for digit in "0123456789" if digit != result[place]])
    return head + equals + result[:place] + other + result[place + 1 :]
