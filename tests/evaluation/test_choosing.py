"""Choosing among responses: answers that are dealt anew, pairs in order, and a policy's own solutions."""

import random

import pytest

from stablereward.data.parsing import boxed
from stablereward.data.questions import Question
from stablereward.engines.engine import Sampling
from stablereward.evaluation.choosing import selected, solved, told_apart, with_answers_exchanged
from stablereward.judges.likelihood import Likelihood, answer_confidence, last_line
from stablereward.policies.token import TokenPolicy
from stablereward.types import Failure, Preference
from stablereward.worlds.sums import checker
from stablereward.worlds.sums.problems import problems


def test_exchanging_answers_keeps_reasonings_and_answers() -> None:
    shown = Preference(question="q", responses=(r"a \boxed{1}.", r"b \boxed{2}.", "c"))
    found = {with_answers_exchanged(shown, boxed, random.Random(seed)).responses for seed in range(30)}
    assert (r"a \boxed{2}.", r"b \boxed{1}.", "c") in found and shown.responses in found
    assert all(one[0][0] + one[1][0] + one[2][0] == "abc" for one in found)


def test_pairs_in_order_by_hand() -> None:
    failure = Failure(reason="too_long", detail="")
    assert told_apart([0.5, 0.2], [0.2, failure, 0.1]) == (3.5, 4)
    assert told_apart([failure], [0.1]) == (0.0, 0)


class Lengths:
    """Scores a response by its length."""

    tokens_read = 0

    def scores(self, preferences: list[Preference]) -> list[tuple[float | Failure, ...]]:
        return [tuple(float(len(str(one))) for one in p.responses) for p in preferences]


def test_selected_is_the_share_whose_best_scores_highest() -> None:
    told = [
        Preference(question="q", responses=("a", "bb"), ranks=ranks) for ranks in ((0, 1), (1, 0), (1, 0))
    ]
    assert selected(Lengths(), told) == pytest.approx(2 / 3)  # type: ignore[arg-type]


def test_of_one_sample_every_way_takes_that_one() -> None:
    policy = TokenPolicy.load("sums", device="cpu")
    judge = Likelihood(policy=policy, read=answer_confidence(policy.decode, last_line))
    known = [Question(prompt=prompt) for prompt in problems(12, seed=0, held_out=True)]
    sampling = Sampling(num_generations=1, max_completion_length=32, seed=0)
    found = solved(policy, judge, known, checker.solved, sampling, last_line)
    assert set(found) == {"accuracy", "vote", "weighted_vote", "best_of_n"}
    assert len(set(found.values())) == 1 and 0 < found["vote"] < 1
