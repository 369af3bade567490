"""Exact verdicts on a worked sum: the oracle of the world, which nothing is trained on unless it says so."""

from collections.abc import Sequence
from typing import Literal

from stablereward.types import Prompt
from stablereward.worlds.sums.problems import FILLER, SEPARATOR, terms, working

Kind = Literal["right", "repeat", "filler", "wrong"]


def lines(text: str) -> list[str]:
    """The steps of a text; of an empty one a single empty step."""
    return text.split(SEPARATOR)


def solved(prompt: Prompt, text: str) -> bool:
    """Whether the last line is the sum."""
    return lines(text)[-1] == str(sum(terms(prompt)))


def kinds(prompt: Prompt, steps: Sequence[str]) -> list[Kind]:
    """What each step is: a right one that is new, a right one said again, filler (nothing is filler, too), or
    wrong. A step is right where it is one of the working's, whatever came before."""
    right = set(working(prompt))
    said: set[str] = set()
    found: list[Kind] = []
    for step in steps:
        if step in right:
            found.append("repeat" if step in said else "right")
        else:
            found.append("filler" if step in ("", *FILLER) else "wrong")
        said.add(step)
    return found
