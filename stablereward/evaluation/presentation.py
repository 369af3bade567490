"""The order in which responses are shown, drawn by lot from their content.

A generator that walks through the rows gives other orders when a row is left out, added or moved, or when
a run is resumed. Here the seed and the content alone decide.
"""

from hashlib import sha256

from stablereward.data.prompts import transcript
from stablereward.data.responses import response_keys
from stablereward.types import Preference


def drawn_order(preference: Preference, seed: int) -> tuple[int, ...]:
    """An order of the responses: `order[0]` is the index of the one shown first. All are equally likely.

    It depends on the seed, the question and the set of responses, not on their stored order, the id or
    other rows.
    """
    keys = response_keys(preference)

    def lot(index: int) -> bytes:
        shown = (seed, transcript(preference), sorted(keys), keys[index])
        return sha256(repr(shown).encode()).digest()

    return tuple(sorted(range(len(preference.responses)), key=lambda index: (lot(index), index)))


def presented(preference: Preference, seed: int) -> Preference:
    """The preference in its drawn order, ranks with it."""
    return preference.reordered(drawn_order(preference, seed))
