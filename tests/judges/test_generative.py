"""Judging by writing, on scripted engines."""

import asyncio
import math
from collections.abc import Sequence

import pytest

from stablereward.data.parsing import Verdict
from stablereward.engines.engine import Sampling
from stablereward.engines.scripted import Scripted
from stablereward.errors import EngineError
from stablereward.judges.generative import Generative
from stablereward.judges.protocol import Opinion
from stablereward.types import Completion, Failure, Judgement, Preference, Prompt

PAIR = Preference(question="Which?", responses=("good", "bad"))
TRIPLE = Preference(question="Which?", responses=("bad", "worse", "good"))


def says(position: int) -> str:
    return f"<think>because</think><answer>{position + 1}</answer>"


def shown(prompt: Prompt) -> tuple[str, ...]:
    assert prompt.preference is not None
    return prompt.preference.responses


def sees_the_good_one(prompt: Prompt, k: int) -> str | Failure:
    return says(shown(prompt).index("good"))


def opinions(
    judge: Generative, *items: Preference, votes: int, both_orders: bool
) -> list[tuple[Opinion, ...]]:
    return asyncio.run(judge.opinions(items, votes=votes, both_orders=both_orders))


class Recording:
    """Writes verdict 1 and remembers how it was called."""

    def __init__(self, completion: Completion | None = None) -> None:
        self.calls: list[tuple[int, Sampling]] = []
        self.completion = completion or Completion(text=says(0), token_ids=(5, 6, 7))

    async def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> list[tuple[Completion, ...] | Failure]:
        self.calls.append((len(prompts), sampling))
        return [(self.completion,) * sampling.num_generations for _ in prompts]


def test_one_judgement_keeps_its_reasoning_text_order_and_length() -> None:
    assert asyncio.run(Generative(engine=Recording()).judge(PAIR)) == Judgement(
        choice=0, reasoning="because", text=says(0), order=(0, 1), num_tokens=3
    )


def test_with_the_engines_probabilities_a_judgement_carries_its_confidence() -> None:
    words = ["<think>because</think><answer>", "1", "</answer>"]
    completion = Completion(text=says(0), token_ids=(0, 1, 2), logprobs=(-3.0, math.log(0.75), -2.0))

    def decode(ids: Sequence[int]) -> str:
        return "".join(words[i] for i in ids)

    judge = Generative(engine=Recording(completion), decode=decode)
    [[given, reverse]] = opinions(judge, PAIR, votes=1, both_orders=True)
    assert isinstance(given, Judgement) and isinstance(reverse, Judgement)
    assert (given.choice, given.confidence) == (0, 0.75)
    # The number is that of the response shown, which is another one in the reversed order.
    assert (reverse.choice, reverse.confidence) == (1, 0.75)


def test_choices_are_mapped_back_from_the_order_shown() -> None:
    judge = Generative(engine=Scripted(sees_the_good_one))
    pair, triple = opinions(judge, PAIR, TRIPLE, votes=2, both_orders=True)
    assert [o.choice for o in pair if isinstance(o, Judgement)] == [0, 0, 0, 0]
    assert [o.order for o in pair if isinstance(o, Judgement)] == [(0, 1), (0, 1), (1, 0), (1, 0)]
    assert [o.choice for o in triple if isinstance(o, Judgement)] == [2, 2, 2, 2]
    assert [o.order for o in triple if isinstance(o, Judgement)] == [(0, 1, 2)] * 2 + [(2, 1, 0)] * 2


def test_a_batch_is_one_call_and_the_votes_share_a_prompt() -> None:
    engine = Recording()
    opinions(Generative(engine=engine), PAIR, TRIPLE, PAIR, votes=15, both_orders=True)
    [(num_prompts, sampling)] = engine.calls
    assert (num_prompts, sampling.num_generations) == (6, 15)


@pytest.mark.parametrize(("votes", "temperature"), [(1, 0.0), (5, 1.0)])
def test_one_vote_is_greedy_and_several_are_sampled(votes: int, temperature: float) -> None:
    engine = Recording()
    opinions(Generative(engine=engine), PAIR, votes=votes, both_orders=False)
    assert engine.calls[0][1] == Sampling(num_generations=votes, temperature=temperature)


@pytest.mark.parametrize("votes", [1, 5])
def test_a_given_sampling_is_used_as_it_is(votes: int) -> None:
    engine = Recording()
    judge = Generative(engine=engine, sampling=Sampling(temperature=0.2, seed=3))
    opinions(judge, PAIR, votes=votes, both_orders=False)
    assert engine.calls[0][1] == Sampling(num_generations=votes, temperature=0.2, seed=3)


def test_a_prompt_that_cannot_be_answered_fails_all_its_votes_and_no_other() -> None:
    def reply(prompt: Prompt, k: int) -> str | Failure:
        return Failure(reason="bad_image") if shown(prompt)[0] == "bad" else says(0)

    judge = Generative(engine=Scripted(reply))
    pair, triple = opinions(judge, PAIR, TRIPLE, votes=2, both_orders=True)
    assert [isinstance(o, Failure) for o in pair] == [False, False, True, True]
    assert [isinstance(o, Failure) for o in triple] == [True, True, False, False]


def test_text_without_a_verdict_is_a_failure() -> None:
    [[opinion]] = opinions(
        Generative(engine=Scripted(lambda prompt, k: "I like both.")), PAIR, votes=1, both_orders=False
    )
    assert isinstance(opinion, Failure)
    assert opinion.reason == "no_answer"
    assert opinion.detail.endswith("'I like both.'")


def test_text_cut_off_before_its_verdict_is_truncated() -> None:
    cut = Recording(Completion(text="Let us see: the fir", finished=False))
    [[opinion]] = opinions(Generative(engine=cut), PAIR, votes=1, both_orders=False)
    assert isinstance(opinion, Failure)
    assert opinion.reason == "truncated"


def test_another_prompt_and_parser_can_be_used() -> None:
    judge = Generative(
        engine=Scripted(lambda prompt, k: prompt.text),
        prompt=lambda preference: Prompt.user(text=preference.responses[1]),
        parse=lambda text, num_responses: Verdict(choice=0 if text == "bad" else 1, reasoning=text),
    )
    [[given, reverse]] = opinions(judge, PAIR, votes=1, both_orders=True)
    assert isinstance(given, Judgement)
    assert isinstance(reverse, Judgement)
    assert (given.choice, given.reasoning) == (0, "bad")
    assert (reverse.choice, reverse.reasoning) == (0, "good")


def test_an_engine_that_ignores_the_number_of_generations_is_refused() -> None:
    class WritesOne(Recording):
        async def generate(
            self, prompts: Sequence[Prompt], sampling: Sampling
        ) -> list[tuple[Completion, ...] | Failure]:
            return [(self.completion,) for _ in prompts]

    with pytest.raises(EngineError, match="wrote 1 completions where 3"):
        opinions(Generative(engine=WritesOne()), PAIR, votes=3, both_orders=False)


def test_law_swapping_the_responses_swaps_every_choice() -> None:
    judge = Generative(engine=Scripted(sees_the_good_one))
    before, after = opinions(judge, PAIR, PAIR.swapped(), votes=1, both_orders=True)
    assert [o.choice for o in after if isinstance(o, Judgement)] == [
        1 - o.choice for o in before if isinstance(o, Judgement)
    ]
