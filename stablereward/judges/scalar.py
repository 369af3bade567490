"""Judging by scores: each response is scored as if alone, and the higher score wins.

Bradley-Terry: response i beats response j with probability σ(s_i - s_j); among N it is the best with
probability exp(s_i) / Σ_j exp(s_j), Luce's choice rule, which for two is the same.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from PIL.Image import Image

from stablereward.judges.confidence import DIGITS
from stablereward.judges.protocol import Opinion, orders
from stablereward.types import Failure, Judgement, Part, Preference, Response, parts_of


class Scorer(Protocol):
    """Scores responses, each as if it stood alone; see `policies.scalar.load_scorer`.

    `tokens_read` counts the tokens of everything read so far.
    """

    @property
    def tokens_read(self) -> int: ...

    def scores(self, preferences: Sequence[Preference]) -> Sequence[tuple[float | Failure, ...]]:
        """The score of every response of each preference, or why there is none."""
        ...


@dataclass(frozen=True, kw_only=True)
class Scalar:
    """The opinion that scores imply, the same in every order and every vote.

    `Judgement.confidence` is the Bradley-Terry probability of the choice, and `reasoning` holds the scores in
    the order shown. Each different response to a question is scored once.
    Failures: "tie" for equal highest scores, and that of a response that has no score.
    """

    model: Scorer

    async def opinions(
        self, preferences: Sequence[Preference], *, votes: int = 1, both_orders: bool = False
    ) -> list[tuple[Opinion, ...]]:
        """See `PreferenceJudge.opinions`. Raises `ModelError` for images that the model cannot see."""
        together: dict[Hashable, dict[Hashable, Response]] = {}
        for preference in preferences:
            own = together.setdefault(_question(preference), {})
            own.update((_same(parts_of(response)), response) for response in preference.responses)
        first = {_question(p): p for p in reversed(preferences)}
        asked = [
            replace(first[key], responses=tuple(own.values()), ranks=None) for key, own in together.items()
        ]
        scored = self.model.scores(asked)
        known = {
            (key, _same(parts_of(response))): score
            for key, one, scores in zip(together, asked, scored, strict=True)
            for response, score in zip(one.responses, scores, strict=True)
        }
        return [
            tuple(
                opinion([known[_question(p), _same(parts_of(r))] for r in p.responses], order)
                for order in orders(len(p.responses), both_orders)
                for _ in range(votes)
            )
            for p in preferences
        ]


def _question(preference: Preference) -> Hashable:
    """The same for preferences whose responses answer one question on the same images, after one history."""
    return tuple(
        (turn.role, _same(turn.parts), tuple(call.text for call in turn.tool_calls), turn.tool_call_id)
        for turn in preference.messages
    )


def _same(parts: Sequence[Part]) -> Hashable:
    """The same for the same texts, image files and images in memory."""
    return tuple(id(part) if isinstance(part, Image) else part for part in parts)


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
