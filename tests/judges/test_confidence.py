"""How sure a verdict was, with tokens cut by hand."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from stablereward.judges.confidence import verdict_probability
from stablereward.types import Completion

END = "<end>"


def written(*tokens: tuple[str, float]) -> tuple[Completion, list[str]]:
    """A completion of these tokens and probabilities, with an end token, and its vocabulary."""
    words = [*(token for token, _ in tokens), END]
    logprobs = [math.log(p) for _, p in tokens] + [0.0]
    text = "".join(words[:-1])
    return Completion(text=text, token_ids=tuple(range(len(words))), logprobs=tuple(logprobs)), words


def sure(*tokens: tuple[str, float], number: int) -> float | None:
    completion, words = written(*tokens)

    def decode(ids: Sequence[int]) -> str:
        return "".join(words[i] for i in ids).replace(END, "")

    return verdict_probability(completion, number, decode)


THOUGHT = [("<think>1", 0.3), (" or 2?</think>", 0.4)]


def test_it_is_the_probability_of_the_number_alone() -> None:
    dressed = [("<answer>", 0.5), ("**Response ", 0.1), ("2", 0.75), ("**", 0.2), ("</answer>", 0.5)]
    assert sure(*THOUGHT, *dressed, number=2) == pytest.approx(0.75)


def test_a_number_of_several_tokens_is_their_product() -> None:
    assert sure(("<answer>", 0.5), ("1", 0.5), ("2", 0.4), ("</answer>", 0.5), number=12) == pytest.approx(
        0.2
    )


def test_a_token_may_hold_more_than_the_number() -> None:
    assert sure(*THOUGHT, ("<ans", 0.9), ("wer> 2</an", 0.6), ("swer>", 0.9), number=2) == pytest.approx(0.6)


def test_the_last_answer_counts() -> None:
    twice = [("<answer>", 0.9), ("1", 0.2), ("</answer> <answer>", 0.9), ("1", 0.7), ("</answer>", 0.9)]
    assert sure(*twice, number=1) == pytest.approx(0.7)


def test_there_is_none_where_the_engine_or_the_text_does_not_tell() -> None:
    assert sure(*THOUGHT, ("<answer>", 0.5), ("2", 0.7), ("</answer>", 0.5), number=1) is None
    assert sure(*THOUGHT, number=1) is None
    text = "<answer>1</answer>"
    assert verdict_probability(Completion(text=text), 1, lambda ids: text) is None
    assert verdict_probability(Completion(text=text, logprobs=(-0.5,)), 1, lambda ids: text) is None


def test_an_answer_before_a_long_text_is_found_in_few_steps() -> None:
    decoded: list[int] = []
    tokens = [("<answer>", 0.9), ("1", 0.5), ("</answer>", 0.9), *[(" and so on", 0.9)] * 4_000]
    completion, words = written(*tokens)

    def decode(ids: Sequence[int]) -> str:
        decoded.append(len(ids))
        return "".join(words[i] for i in ids).replace(END, "")

    assert verdict_probability(completion, 1, decode) == pytest.approx(0.5)
    assert len(decoded) < 40


@pytest.mark.parametrize("piece", ["<answer>", "<answer", "<answer>1</answer>", "1"])
def test_ten_megabytes_of_hostile_text_take_seconds(piece: str) -> None:
    text = piece * (10_000_000 // len(piece))
    completion = Completion(text=text, token_ids=(0,), logprobs=(-0.5,))
    started = time.process_time()
    for hostile in (text, f"<answer>{text}</answer>"):
        verdict_probability(replace(completion, text=hostile), 1, lambda ids: text)
    assert time.process_time() - started < 30
