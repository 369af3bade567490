"""How sure a judge was of the verdict that it wrote."""

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Sequence

from stablereward.data.parsing import answers
from stablereward.types import Completion

DIGITS = 6
"""Decimals of a confidence: beyond them, what depends on the machine and the batch begins."""

Decode = Callable[[Sequence[int]], str]
"""Token ids to the text that a completion holds, the end token left out."""

_NUMBER = re.compile(r"[0-9]+")


def verdict_probability(completion: Completion, number: int, decode: Decode) -> float | None:
    """The probability of the tokens that write `number` in the last `<answer>`, given all text before them.

    p = exp(Σ_t log π(a_t | prompt, reasoning, a_<t)) over the tokens that write the number, most often one:
    for one token the reward of Confidence as a Reward (https://arxiv.org/abs/2510.13501), which is the mean
    of the answer tokens' probabilities. The reasoning and the tags around the number have no part in it: how
    a verdict is dressed says nothing about how sure it is. The distribution is that of the engine's
    `logprobs`: the tempered one it samples from in this process, temperature 1 where it is greedy.
    None without log-probabilities, or where the number is not written in an answer.
    """
    ids, span = completion.token_ids, _span(completion.text, number)
    if span is None or not ids or len(completion.logprobs) != len(ids):
        return None
    return round(math.exp(sum(completion.logprobs[tokens_of(span, completion, decode)])), DIGITS)


def tokens_of(span: tuple[int, int], completion: Completion, decode: Decode) -> slice:
    """The tokens that hold the letters from the first of `span` to before its second, at least one."""
    first, last = (_token_of(letter, completion, decode) for letter in (span[0], span[1] - 1))
    return slice(first, last + 1)


def _span(text: str, number: int) -> tuple[int, int] | None:
    """Where the number stands in the last answer of the text."""
    spans, _ = answers(text)
    if not spans:
        return None
    written = _NUMBER.finditer(text, *spans[-1])
    found = [match.span() for match in written if match[0].lstrip("0") == str(number)]
    return found[-1] if found else None


def _token_of(letter: int, completion: Completion, decode: Decode) -> int:
    """The index of the token that holds this letter of the text: the last that so much text ends with."""
    ids, length = completion.token_ids, len(completion.text) - letter
    # Halved, for a text may go on for long after its answer.
    return max(bisect_left(range(len(ids)), True, key=lambda i: len(decode(ids[i:])) < length) - 1, 0)
