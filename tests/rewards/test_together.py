"""One forward pass answers all who wait."""

import asyncio
from collections.abc import Sequence

import pytest

from stablereward.rewards.reward import SampleOf, score
from stablereward.rewards.together import Together
from stablereward.types import Completion, Failure, Prompt, Reward


def samples(num: int) -> list[SampleOf[Prompt, Completion]]:
    return [SampleOf(prompt=Prompt.user(text="q"), completion=Completion(text="x" * n)) for n in range(num)]


class Model:
    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> list[float]:
        self.calls.append(list(texts))
        return [len(text) / 10 for text in texts]


def test_those_who_wait_are_answered_together_and_in_their_order() -> None:
    model = Model()
    together = Together(model, max_batch=4)

    async def reward(sample: SampleOf[Prompt, Completion]) -> Reward:
        return Reward(value=await together(sample.completion.text))

    found = asyncio.run(score(samples(10), reward))
    assert [r.value for r in found if isinstance(r, Reward)] == [n / 10 for n in range(10)]
    assert [len(call) for call in model.calls] == [4, 4, 2]
    assert asyncio.run(score(samples(3), reward)) == found[:3]


def test_those_who_ask_later_are_answered_later() -> None:
    model = Model()
    together = Together(model)

    async def ask() -> list[float]:
        first = await together("a")
        return [first, *await asyncio.gather(together("bb"), together("ccc"))]

    assert asyncio.run(ask()) == [0.1, 0.2, 0.3]
    assert model.calls == [["a"], ["bb", "ccc"]]


@pytest.mark.parametrize("answers", [[], [1.0, 2.0, 3.0]])
def test_a_model_that_fails_fails_for_those_who_asked(answers: list[float]) -> None:
    together = Together(lambda texts: answers)

    async def reward(sample: SampleOf[Prompt, Completion]) -> Reward:
        return Reward(value=await together(sample.completion.text))

    found = asyncio.run(score(samples(2), reward))
    assert [type(r) for r in found] == [Failure, Failure]
    assert isinstance(found[0], Failure) and f"{len(answers)} answers to 2 questions" in found[0].detail
