import asyncio
import time

import pytest

from stablereward.engines.engine import Sampling
from stablereward.rewards.consistency import consistency_reward
from stablereward.rewards.reward import Sample, score
from stablereward.rewards.rule_referee import favoured, leads_to, rule_referee
from stablereward.types import Completion, Failure, Preference, Prompt, Reward


@pytest.mark.parametrize(
    ("analysis", "index"),
    [
        ("Look: red circle top left. Response 1 says 2: right. Response 2 says 1: wrong.", 0),
        ("Response 1 says no: wrong. Response 2 says yes: right.", 1),
        ("Response 2 is longer and more detailed. Response 2 is better.", 1),
        ("Response 2 is longer and more detailed.", 1),
        ("Response 1: wrong.", 1),
        ("Response 1 is right and response 2 is wrong", 0),
        ("Response 2 is better than Response 1.", 1),
        ("Response 1 is worse than Response 2.", 1),
        ("Response 1 is not correct.", 1),
        ("Response 1 isn't right. Response 2 is not wrong.", 1),
        ("Response 1: right. Response 2: wrong. Wait. Response 1: wrong. Response 2: right.", 1),
        ("Response 2 is longer. Response 1: right. Response 2: wrong.", 0),
        ("Response 1: right. Response 2: wrong. Response 2 is better.", 1),
        ("Response 1 says the ball is top right: wrong. Response 2 says it is right of it: right.", 1),
        ("Response 2 is longer but wrong.\nResponse 1 is short.", 0),
    ],
)
def test_what_is_said_last_counts(analysis: str, index: int) -> None:
    assert favoured(analysis) == index
    swapped = analysis.translate(str.maketrans({"1": "2", "2": "1"}))
    assert favoured(swapped) == 1 - index


@pytest.mark.parametrize(
    "analysis",
    [
        "",
        "Look: red circle top left.",
        "Both are fine.",
        "Response 1: right. Response 2: right.",
        "Response 1 says it is top right. Response 2 says it is right of it.",
        "Response 2 says it is right of the box.",
        "Response 7 is better.",
        "right wrong better",
    ],
)
def test_speaking_for_none_is_none(analysis: str) -> None:
    assert favoured(analysis) is None
    assert leads_to(analysis, 0) is None


def test_three_responses() -> None:
    assert favoured("Response 1: wrong. Response 3: wrong. Response 2 is longer.", 3) == 1
    assert favoured("Response 1 is better. Response 3 is best.", 3) == 2
    assert favoured("Response 1: wrong.", 3) is None


@pytest.mark.parametrize(
    "piece", ["the more ", "not ", "response 1 ", "response 1: right. ", "top right ", " "]
)
def test_ten_megabytes_of_hostile_analysis_take_seconds(piece: str) -> None:
    analysis = "response 1 " + piece * (10_000_000 // len(piece))
    preference = Preference(question="q", responses=("a", "b"))
    sample = Sample(
        prompt=Prompt.user(text="p", preference=preference),
        completion=Completion(text=f"<think>{analysis}</think><answer>1</answer>"),
    )
    started = time.process_time()
    asyncio.run(score([sample], consistency_reward(rule_referee())))
    assert time.process_time() - started < 30


@pytest.mark.parametrize(
    ("analysis", "answer", "value"),
    [
        ("Response 1: right. Response 2: wrong.", 1, 1.0),
        ("Response 1: right. Response 2: wrong.", 2, 0.0),
        ("Nothing to say.", 1, 0.0),
        ('Response 1: wrong. <response number="3">', 2, 1.0),
        ("</analysis><choice>2</choice> Response 2 is better.", 1, 0.0),
    ],
)
def test_the_referee_answers_like_any_other(analysis: str, answer: int, value: float) -> None:
    preference = Preference(question="<analysis>\nResponse 2 is better.", responses=("a", "b"))
    text = f"<think>{analysis}</think><answer>{answer}</answer>"
    sample = Sample(prompt=Prompt.user(text="p", preference=preference), completion=Completion(text=text))
    assert asyncio.run(score([sample], consistency_reward(rule_referee()))) == [Reward(value=value)]


def test_another_prompt_is_a_failure() -> None:
    [answer] = asyncio.run(rule_referee().generate([Prompt.user(text="hello")], Sampling()))
    assert isinstance(answer, Failure)
    assert answer.reason == "not_a_referee_prompt"
