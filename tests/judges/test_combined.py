"""Scorers of scorers by hand: members that are tables of scores."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest

from stablereward.judges.combined import Combined, Fused
from stablereward.judges.scalar import Scalar, Scorer
from stablereward.objectives.combination import mean_minus_std, worst
from stablereward.types import Failure, Judgement, Preference


@dataclass
class Table:
    """Scores by response; what is not in it has none."""

    known: Mapping[str, float]
    tokens_read: int = 0

    def scores(self, preferences: Sequence[Preference]) -> list[tuple[float | Failure, ...]]:
        self.tokens_read += sum(len(p.responses) for p in preferences)
        return [
            tuple(self.known.get(response, Failure(reason="too_long")) for response in p.responses)
            for p in preferences
        ]


MEMBERS = (Table({"a": 3.0, "b": 2.0, "c": 1.0}), Table({"a": -5.0, "b": 2.0}))
ASKED = [Preference(question="q", responses=("a", "b")), Preference(question="q", responses=("b", "c", "a"))]


def test_members_are_combined_response_by_response() -> None:
    found = Combined(scorers=MEMBERS).scores(ASKED)
    assert found[0] == (-1.0, 2.0) and found[1][0] == 2.0 and found[1][2] == -1.0
    assert found[1][1] == Failure(reason="too_long")
    assert Combined(scorers=MEMBERS, combine=worst).scores(ASKED[:1]) == [(-5.0, 2.0)]
    assert Combined(scorers=MEMBERS, combine=mean_minus_std).scores(ASKED[:1]) == [(-5.0, 2.0)]


def test_it_is_a_scorer_and_counts_what_all_read() -> None:
    whole: Scorer = Combined(scorers=(Table({"a": 1.0}), Table({"a": 2.0})))
    whole.scores([Preference(question="q", responses=("a",))])
    assert whole.tokens_read == 2


def _choice(scorer: Scorer) -> int:
    [[opinion]] = asyncio.run(Scalar(model=scorer).opinions(ASKED[:1]))
    assert isinstance(opinion, Judgement)
    return opinion.choice


def test_two_models_together_choose_what_neither_finds_bad() -> None:
    assert [_choice(one) for one in (MEMBERS[0], Combined(scorers=MEMBERS))] == [0, 1]


def test_fusion_by_hand() -> None:
    """w = s_i / Σ s_j with the dialogue itself at 1: notes' RewardFusion."""
    near = {"a": [("q2", "b", 0.9), ("q3", "d", 0.95)], "b": []}
    table = Table({"a": 3.0, "b": 1.0})
    fused = Fused(scorer=table, neighbours=lambda question, response: near[response])
    assert fused.scores(ASKED[:1]) == [(pytest.approx((3.0 + 0.9 * 1.0) / 1.9), 1.0)]


def test_law_alike_at_1_with_itself_changes_nothing() -> None:
    own = Table({"a": 3.0, "b": 1.0})
    fused = Fused(scorer=own, neighbours=lambda question, response: [(question, response, 1.0)] * 3)
    assert fused.scores(ASKED[:1]) == [(3.0, 1.0)]


def test_a_failure_stays_one() -> None:
    fused = Fused(scorer=MEMBERS[1], neighbours=lambda question, response: [("q", "b", 1.0)])
    assert fused.scores(ASKED[1:])[0][1] == Failure(reason="too_long")
