"""What a judge is: something that gives opinions on preferences."""

from collections.abc import Sequence
from typing import Protocol

from stablereward.types import Failure, Judgement, Preference

Opinion = Judgement | Failure
"""One reading of one question: a choice, or the reason why there is none."""


def orders(num_responses: int, both: bool) -> tuple[tuple[int, ...], ...]:
    """The orders responses are shown in: as given, and with `both` also reversed."""
    given = tuple(range(num_responses))
    return (given, given[::-1]) if both else (given,)


class PreferenceJudge(Protocol):
    """What voting, ranking and evaluation need of a judge.

    The method takes a batch because that is what makes judging fast: the K opinions on one question
    share one reading of its prompt, and an engine fills its device with many questions at once.
    (The class `Judge` is the ready-made, synchronous one for users, and obeys this protocol too.)
    """

    async def opinions(
        self, preferences: Sequence[Preference], *, votes: int = 1, both_orders: bool = False
    ) -> list[tuple[Opinion, ...]]:
        """For each preference `votes` opinions per order shown: first all in the given order, then,
        with `both_orders`, all in the reversed order.

        `Judgement.choice` is an index into the preference's own responses, whatever was shown.
        A preference that cannot be judged has Failures in its place; the others are not affected.
        """
        ...
