"""Questions with responses that are points: a hidden quality, and a showy side that only looks like it.

Whoever learns from comparisons sees frozen random features of question and response. In the pairs to learn
from showiness goes along with quality, or earns a bonus from the annotator; among the candidates that a
best-of-n chooses from it is worth nothing, and too much of it does harm. That is how lists, length and empty
praise are learnt as if they were good.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stablereward.ranges import NotNegative, Positive, Proportion, Size, require_ranges
from stablereward.types import Group, Reward
from stablereward.worlds.utility import Pair, Point

ASKED, ANSWERED = 3, 5
"""Numbers of a question and of a response beside its showiness, each standard normal and hidden."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Showy:
    """The world's settings.

    correlation: of showiness with quality in the pairs to learn from.
    bonus: what the annotator adds for showiness, in a pair with probability `bonus_share`.
    flips: share of labels that are turned round.
    spread: deviation of the candidates' showiness, of which what is above 1.5 costs `harm` times as much.
    """

    features: Size = 64
    num_train: Size = 800
    num_questions: Size = 200
    num_candidates: Size = 128
    sharpness: Positive = 4.0
    correlation: Proportion = 0.7
    bonus: NotNegative = 0.0
    bonus_share: Proportion = 1.0
    flips: Proportion = 0.1
    spread: Positive = 2.0
    harm: NotNegative = 1.0

    def __post_init__(self) -> None:
        require_ranges(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """What is not seen of N responses: question [N, Q], response [N, A], showiness, quality and gold [N]."""

    asked_NQ: Tensor
    answered_NA: Tensor
    showy_N: Tensor
    quality_N: Tensor
    gold_N: Tensor

    def features(self, num: int, seed: int) -> Tensor:
        """tanh(W·(question, response, showiness) + b), [N, num]: what a backbone of this seed sees."""
        drawn = torch.Generator().manual_seed(2**22 + seed)
        seen_NX = torch.cat([self.asked_NQ, self.answered_NA, self.showy_N[:, None]], dim=1)
        weights_DX = torch.randn((num, seen_NX.shape[1]), generator=drawn) / math.sqrt(seen_NX.shape[1])
        return torch.tanh(seen_NX @ weights_DX.T + torch.randn(num, generator=drawn) / 2)


def quality(asked_NQ: Tensor, answered_NA: Tensor) -> Tensor:
    """x0·a0 + x1·a1 + tanh(2·a2) + a3, of about unit variance: what is good depends on what was asked."""
    products_N = (asked_NQ[:, :2] * answered_NA[:, :2]).sum(1)
    return (products_N + torch.tanh(2 * answered_NA[:, 2]) + answered_NA[:, 3]) / math.sqrt(3.6)


def _hidden(world: Showy, asked_NQ: Tensor, correlation: float, spread: float, seed: int) -> Hidden:
    drawn = torch.Generator().manual_seed(seed)
    answered_NA = torch.randn((len(asked_NQ), ANSWERED), generator=drawn)
    quality_N = quality(asked_NQ, answered_NA)
    other_N = torch.randn(len(asked_NQ), generator=drawn)
    showy_N = spread * (correlation * quality_N + math.sqrt(1 - correlation**2) * other_N)
    gold_N = quality_N - world.harm * (showy_N - 1.5).clamp_min(0)
    return Hidden(
        asked_NQ=asked_NQ, answered_NA=answered_NA, showy_N=showy_N, quality_N=quality_N, gold_N=gold_N
    )


def length(showy: float) -> int:
    """The length of a response as showy as this: 100 tokens, and twice as many for 1 more."""
    return max(1, round(100 * 2 ** min(showy, 10.0)))


def _points(hidden: Hidden, features: int, map_seed: int) -> list[Point]:
    told = zip(hidden.gold_N.tolist(), hidden.showy_N.tolist(), strict=True)
    seen_ND = hidden.features(features, map_seed)
    return [
        Point(features_D=f, utility=u, num_steps=length(s)) for f, (u, s) in zip(seen_ND, told, strict=True)
    ]


def labelled(world: Showy, seed: int, map_seed: int) -> list[Pair]:
    """Pairs to train on, as a backbone of `map_seed` sees them. The one preferred earned 1, the other 0."""
    drawn = torch.Generator().manual_seed(2**23 + seed)
    asked_NQ = torch.randn((world.num_train, ASKED), generator=drawn).repeat_interleave(2, dim=0)
    hidden = _hidden(world, asked_NQ, world.correlation, 1.0, 2**24 + 2 * seed)
    rewarded_T = torch.rand(world.num_train, generator=drawn) < world.bonus_share
    seen_TN = (hidden.quality_N + world.bonus * hidden.showy_N * rewarded_T.repeat_interleave(2)).view(-1, 2)
    first_T = torch.rand(world.num_train, generator=drawn) < torch.sigmoid(
        world.sharpness * (seen_TN[:, 0] - seen_TN[:, 1])
    )
    won_T = (first_T ^ (torch.rand(world.num_train, generator=drawn) < world.flips)).tolist()
    made = _points(hidden, world.features, map_seed)
    return [
        Group(
            prompt=None,
            trajectories=(one, other),
            rewards=(Reward(value=float(won)), Reward(value=float(not won))),
        )
        for one, other, won in zip(made[::2], made[1::2], won_T, strict=True)
    ]


def candidates(world: Showy, seed: int) -> Hidden:
    """Of each question `num_candidates` responses in a row, showy without being better."""
    drawn = torch.Generator().manual_seed(2**25 + seed)
    asked_NQ = torch.randn((world.num_questions, ASKED), generator=drawn)
    asked_NQ = asked_NQ.repeat_interleave(world.num_candidates, dim=0)
    return _hidden(world, asked_NQ, 0.0, world.spread, 2**24 + 2 * seed + 1)
