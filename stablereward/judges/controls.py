"""Judges that look at nothing that matters: what a real judge has to beat, and what exposes a benchmark.

All depend only on what is shown, in the order shown.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from stablereward.data.prompts import transcript
from stablereward.data.responses import in_words, response_keys
from stablereward.judges.protocol import Opinion, orders
from stablereward.types import Judgement, Preference


@dataclass(frozen=True, slots=True)
class Rule:
    """A judge that is a function: `choose(shown, k)` is the position the k-th opinion picks."""

    choose: Callable[[Preference, int], int]

    async def judge(self, preference: Preference) -> Opinion:
        """One opinion, in the given order."""
        [[opinion]] = await self.opinions([preference])
        return opinion

    async def opinions(
        self, preferences: Sequence[Preference], *, votes: int = 1, both_orders: bool = False
    ) -> list[tuple[Opinion, ...]]:
        """See `PreferenceJudge.opinions`."""
        return [
            tuple(
                Judgement(choice=order[self.choose(preference.reordered(order), k)], order=order)
                for order in orders(len(preference.responses), both_orders)
                for k in range(votes)
            )
            for preference in preferences
        ]


def _longest(shown: Preference, k: int) -> int:
    lengths = [len(in_words(response)) for response in shown.responses]
    return lengths.index(max(lengths))


always_first = Rule(lambda shown, k: 0)
"""Says the response shown first: 50 % over both orders on any data of pairs, and 0 % order consistency."""

longer_wins = Rule(_longest)
"""Says the response with most characters; among equals the one shown first."""


def random_choice(seed: int) -> Rule:
    """A fair die, thrown by a hash of the seed, what is shown and k: the same on every machine."""

    def choose(shown: Preference, k: int) -> int:
        thrown = sha256(repr((seed, k, transcript(shown), tuple(response_keys(shown)))).encode()).digest()
        return int.from_bytes(thrown, "big") % len(shown.responses)

    return Rule(choose)
