"""Judging by likelihood: readings by hand, and a real model that reads alone what it reads together."""

import math
from collections.abc import Sequence

import pytest
from PIL import Image

from stablereward.blocking import blocking
from stablereward.judges.likelihood import (
    Likelihood,
    answer_confidence,
    last_line,
    mean_logprob,
    sequence_logprob,
)
from stablereward.judges.scalar import Scalar
from stablereward.policies.token import TokenPolicy
from stablereward.types import Completion, Failure, Judgement, Preference, pictured

WORDS = ("so ", r"\boxed{", "1", "2", "3", "}", "<end>")


def decode(ids: Sequence[int]) -> str:
    return "".join(WORDS[i] for i in ids).replace("<end>", "")


def response(*probabilities: float) -> Completion:
    ids = tuple(range(len(WORDS)))
    return Completion(text=decode(ids), token_ids=ids, logprobs=tuple(map(math.log, probabilities)))


def test_confidence_is_the_mean_probability_of_the_answer_and_not_that_of_its_logarithm() -> None:
    sure = answer_confidence(decode)(response(0.1, 0.2, 0.99, 0.99, 0.05, 0.3, 0.4))
    assert sure == pytest.approx((0.99 + 0.99 + 0.05) / 3)
    assert round(float(sure), 3) == 0.677  # type: ignore[arg-type]
    assert round(math.exp((2 * math.log(0.99) + math.log(0.05)) / 3), 3) == 0.366


def test_law_the_reasoning_is_not_counted() -> None:
    read = answer_confidence(decode)
    some = read(response(0.1, 0.2, 0.9, 0.8, 0.7, 0.3, 0.4))
    assert some == read(response(0.9, 0.9, 0.9, 0.8, 0.7, 0.9, 0.9))


def test_without_an_answer_there_is_no_score() -> None:
    for text in ("so 3", r"so \boxed{3", r"so \boxed{}"):
        found = answer_confidence(lambda ids: "")(Completion(text=text, token_ids=(0,), logprobs=(-1.0,)))
        assert isinstance(found, Failure) and found.reason == "no_answer"


def test_the_last_line() -> None:
    assert last_line("a\nbc") == (2, 4) and last_line("abc") == (0, 3)
    assert last_line("") is None and last_line("a\n") is None


def test_sums_and_means() -> None:
    one = Completion(text="", token_ids=(0, 1), logprobs=(-1.0, -3.0))
    assert sequence_logprob(one) == -4 and mean_logprob(one) == -2


QUESTIONS = [
    Preference(question="15+27", responses=("5+7=12\n1+2+1=4\n42", "5+7=12\n1+2+1=4\n43", "5+7=11\n42")),
    Preference(question="11+22", responses=("1+2=3\n1+2=3\n33", "34")),
]


@pytest.fixture(scope="module")
def policy() -> TokenPolicy:
    return TokenPolicy.load("sums", device="cpu")


def test_a_right_answer_is_the_surer_one(policy: TokenPolicy) -> None:
    judge = Likelihood(policy=policy, read=answer_confidence(policy.decode, last_line))
    scores = judge.scores(QUESTIONS)
    assert scores[0][0] > 0.9 > 0.5 > scores[0][1]  # type: ignore[operator]
    opinions = blocking(Scalar(model=judge).opinions(QUESTIONS, both_orders=True))
    assert all(isinstance(o, Judgement) and o.choice == 0 for own in opinions for o in own)
    assert judge.tokens_read > 0


def test_law_alone_or_together_a_response_has_the_same_score(policy: TokenPolicy) -> None:
    together = Likelihood(policy=policy).scores(QUESTIONS)
    tight = Likelihood(policy=policy, max_batch_tokens=1).scores(QUESTIONS)
    alone = [
        tuple(
            Likelihood(policy=policy).scores([Preference(question=q.question, responses=(r,))])[0][0]
            for r in q.responses
        )
        for q in QUESTIONS
    ]
    for other in (tight, alone):
        for a, b in zip(together, other, strict=True):
            assert a == pytest.approx(b, abs=1e-4)


def test_law_against_itself_every_ratio_is_zero(policy: TokenPolicy) -> None:
    scores = Likelihood(policy=policy, reference=policy).scores(QUESTIONS)
    assert [abs(float(one)) < 1e-5 for own in scores for one in own] == [True] * 5  # type: ignore[arg-type]


def test_a_picture_is_nothing_a_model_writes(policy: TokenPolicy) -> None:
    shown = Preference(question="1+1", responses=("2", pictured(Image.new("RGB", (8, 8)))))
    [(text, picture)] = Likelihood(policy=policy).scores([shown])
    assert isinstance(text, float) and isinstance(picture, Failure) and picture.reason == "not_text"


def test_what_is_too_long_or_has_no_answer_fails_alone(policy: TokenPolicy) -> None:
    far = "1" * (policy.max_context + 1)
    asked = [Preference(question="1+1", responses=("2", far)), Preference(question=far, responses=("2", "3"))]
    first, second = Likelihood(policy=policy).scores(asked)
    assert isinstance(first[0], float)
    assert [one.reason for one in (first[1], *second) if isinstance(one, Failure)] == ["too_long"] * 3
