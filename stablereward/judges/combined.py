"""Scorers made of scorers: several models taken together, or one model asked about what is alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stablereward.data.responses import in_words
from stablereward.judges.scalar import Scorer
from stablereward.objectives.combination import fused, mean
from stablereward.types import Failure, Preference

Combine = Callable[[Tensor], Tensor]
"""Scores [M, N] of M models to scores [N], see `objectives.combination`."""
Neighbours = Callable[[str, str], Sequence[tuple[str, str, float]]]
"""Question and response to others that are alike, each with its similarity, of which 1 is the same."""


@dataclass(frozen=True, kw_only=True)
class Combined:
    """Several scorers as one. A response that one of them cannot score has that failure.

    Their scores are compared as they are: train the members with `objectives.pairwise.centring`, or a
    constant of one decides what `worst`, `median` and `mean_minus_std` say.
    """

    scorers: tuple[Scorer, ...]
    combine: Combine = mean

    @property
    def tokens_read(self) -> int:
        """By all of them."""
        return sum(scorer.tokens_read for scorer in self.scorers)

    def scores(self, preferences: Sequence[Preference]) -> list[tuple[float | Failure, ...]]:
        """See `Scorer.scores`."""
        found = [scorer.scores(preferences) for scorer in self.scorers]
        return [
            tuple(_combined(row, self.combine) for row in zip(*members, strict=True))
            for members in zip(*found, strict=True)
        ]


def _combined(row: Sequence[float | Failure], combine: Combine) -> float | Failure:
    known: list[float] = []
    for score in row:
        if isinstance(score, Failure):
            return score
        known.append(score)
    return float(combine(torch.tensor(known, dtype=torch.float64)[:, None])[0])


@dataclass(frozen=True, kw_only=True)
class Fused:
    """RewardFusion (https://arxiv.org/abs/2309.16155): the scores of a dialogue and of those that are alike.

    Σ w_i R_i, w_i = s_i / Σ s_j, the dialogue itself with s = 1. `neighbours` finds the others, for example
    among the training answers; without any the score is the model's own. A neighbour without a score is left
    out. The released code searches the whole preference file, its test part included, and drops repeated
    texts on one of the two sides only: what `neighbours` searches is yours to keep apart.
    """

    scorer: Scorer
    neighbours: Neighbours

    @property
    def tokens_read(self) -> int:
        """Of the dialogues and their neighbours."""
        return self.scorer.tokens_read

    def scores(self, preferences: Sequence[Preference]) -> list[tuple[float | Failure, ...]]:
        """See `Scorer.scores`. A picture among the responses is looked up by its words."""
        own = self.scorer.scores(preferences)
        alike = [[self.neighbours(p.question, in_words(r)) for r in p.responses] for p in preferences]
        texts = dict.fromkeys((q, r) for rows in alike for row in rows for q, r, _ in row)
        asked = [Preference(question=question, responses=(response,)) for question, response in texts]
        known = dict(zip(texts, (one for [one] in self.scorer.scores(asked)), strict=True))
        return [
            tuple(
                _fused(score, [(known[q, r], alike) for q, r, alike in row])
                for score, row in zip(scores, rows, strict=True)
            )
            for scores, rows in zip(own, alike, strict=True)
        ]


def _fused(own: float | Failure, others: Sequence[tuple[float | Failure, float]]) -> float | Failure:
    if isinstance(own, Failure):
        return own
    rows = [(own, 1.0), *((score, alike) for score, alike in others if not isinstance(score, Failure))]
    scores_K1, similarities_K1 = (torch.tensor(column)[:, None] for column in zip(*rows, strict=True))
    return float(fused(scores_K1, similarities_K1)[0])
