"""Judging by scores: each response is scored alone, and the higher score wins.

Bradley-Terry: response i beats response j with probability σ(s_i - s_j); among N it is the best with
probability exp(s_i) / Σ_j exp(s_j), Luce's choice rule, which for two is the same.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stablereward.errors import ModelError
from stablereward.judges.confidence import DIGITS
from stablereward.judges.protocol import Opinion, orders
from stablereward.types import Failure, Judgement, Preference


class Scorer(Protocol):
    """Scores one response at a time, whatever it stands beside; `policies.reward_model.RewardModel` is one.

    `tokens_read` counts the tokens of every dialogue scored so far.
    """

    @property
    def tokens_read(self) -> int: ...

    def scores(self, dialogues: Sequence[tuple[str, str]]) -> list[float | Failure]:
        """The score of each (question, response), or why there is none."""
        ...


@dataclass(frozen=True, kw_only=True)
class Scalar:
    """The opinion that scores imply, the same in every order and every vote.

    `Judgement.confidence` is the Bradley-Terry probability of the choice, and `reasoning` holds the scores in
    the order shown. Each different response is scored once.
    Failures: "tie" for equal highest scores, and that of a response that has no score.
    """

    model: Scorer

    async def opinions(
        self, preferences: Sequence[Preference], *, votes: int = 1, both_orders: bool = False
    ) -> list[tuple[Opinion, ...]]:
        """See `PreferenceJudge.opinions`. Raises `ModelError` for images, which a text model cannot see."""
        for preference in preferences:
            if preference.images:
                raise ModelError(
                    f"preference {preference.id!r}: has images, but the reward model reads text only; give a "
                    "model that sees"
                )
        dialogues = list(dict.fromkeys((p.question, r) for p in preferences for r in p.responses))
        found = dict(zip(dialogues, self.model.scores(dialogues), strict=True))
        return [
            tuple(
                opinion([found[p.question, r] for r in p.responses], order)
                for order in orders(len(p.responses), both_orders)
                for _ in range(votes)
            )
            for p in preferences
        ]


def opinion(scores: Sequence[float | Failure], order: tuple[int, ...]) -> Opinion:
    """What the scores of the responses, in the preference's own order, say of them."""
    known: list[float] = []
    for score in scores:
        if isinstance(score, Failure):
            return score
        known.append(score)
    top = max(known)
    if known.count(top) > 1:
        return Failure(reason="tie", detail=f"{known.count(top)} responses have the score {top:g}")
    choice = known.index(top)
    told = "scores: " + ", ".join(f"{known[i]:.6g}" for i in order)
    return Judgement(
        choice=choice,
        reasoning=told,
        text=told,
        order=order,
        confidence=round(probabilities(known)[choice], DIGITS),
    )


def probabilities(scores: Sequence[float]) -> tuple[float, ...]:
    """The Bradley-Terry probability of each to be the best: a softmax; σ(s_0 - s_1) first for two."""
    top = max(scores)
    weights = [math.exp(score - top) for score in scores]
    return tuple(weight / sum(weights) for weight in weights)
