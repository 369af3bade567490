"""Judging by one word: a model is asked whether a response is right, and is not waited for to say so."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.errors import DataError, TooLongError
from stablereward.policies.completions import Answered, completions
from stablereward.policies.forcing import SCORED_TOGETHER, forced
from stablereward.policies.token import TokenPolicy
from stablereward.types import Completion, Failure, Group, Preference, Prompt, Response

Asked = Callable[[Preference, Response], Prompt]
"""From a question and one response to what the model is asked, to which yes or no is the answer."""


def yes_share(yes_logprob: float, no_logprob: float) -> float:
    """P(yes) / (P(yes) + P(no)), from the log-probabilities of both words: in [0, 1], ½ where they tie.

    Unlike P(yes) over the whole vocabulary it loses nothing to words that nobody asked for, and unlike a
    score that is 0 wherever "no" is likelier it ranks the rejected ones too.
    """
    return 1 / (1 + math.exp(min(no_logprob - yes_logprob, 700.0)))


@dataclass(kw_only=True)
class YesNo:
    """A `judges.scalar.Scorer`: the probability of `yes`, of both words, at the place of the answer.

    A word of several tokens has the product of their probabilities. Failures: "bad_prompt", "too_long".
    """

    policy: TokenPolicy
    prompt: Asked
    yes: str = "Yes"
    no: str = "No"
    max_batch_tokens: int = SCORED_TOGETHER
    tokens_read: int = field(default=0, init=False)

    def scores(self, preferences: Sequence[Preference]) -> list[tuple[float | Failure, ...]]:
        """The probability of a yes for every response of each preference, or why there is none."""
        prompts = [self.prompt(one, response) for one in preferences for response in one.responses]
        scores = iter(self.shares(prompts))
        return [tuple(next(scores) for _ in one.responses) for one in preferences]

    def shares(self, prompts: Sequence[Prompt]) -> list[float | Failure]:
        """The probability of a yes to each question."""
        found, read = _shares(self.policy, prompts, (self.yes, self.no), self.max_batch_tokens)
        self.tokens_read += read
        return found


def yes_shares(
    policy: TokenPolicy, prompts: Sequence[Prompt], *, yes: str = "Yes", no: str = "No"
) -> list[float | Failure]:
    """The scores of `YesNo` for what is asked as it stands."""
    return _shares(policy, prompts, (yes, no), SCORED_TOGETHER)[0]


def _shares(
    policy: TokenPolicy, prompts: Sequence[Prompt], words: tuple[str, str], budget: int
) -> tuple[list[float | Failure], int]:
    """The probability of the first word, of both, and the number of tokens read."""
    answers = tuple(Completion(text=word, token_ids=tuple(policy.vocabulary.ids(word))) for word in words)
    found: list[float | Failure] = []
    asked: list[Answered] = []
    for prompt, encoded in zip(prompts, policy.encode_all(prompts), strict=True):
        if isinstance(encoded, DataError):
            reason = "too_long" if isinstance(encoded, TooLongError) else "bad_prompt"
            found.append(Failure(reason=reason, detail=str(encoded)))
            continue
        found.append(0.0)
        asked.append(Group(prompt=prompt, trajectories=answers))
    family = completions(policy)
    shares = iter(
        yes_share(*(math.fsum(word.logprobs) for word in group.trajectories))
        for group in forced(family, asked, budget)
    )
    return [one if isinstance(one, Failure) else next(shares) for one in found], sum(family.costs(asked))


def written_shares(
    policy: TokenPolicy, prompts: Sequence[Prompt], *, yes: str = "Yes", no: str = "No", num_tokens: int = 5
) -> list[float | Failure]:
    """What GradeSQL's released code makes of `num_tokens` greedy tokens: P(yes) of the whole vocabulary where
    the first of both words is `yes`, 0 where it is `no`, ½ where neither comes.

    It cannot tell rejected responses apart; `YesNo` can. https://arxiv.org/abs/2509.01308
    """
    words = {policy.vocabulary.ids(word)[0]: word for word in (yes, no, f" {yes}", f" {no}")}
    outputs = HFEngine(policy).sample(prompts, Sampling(temperature=0.0, max_completion_length=num_tokens))
    return [one if isinstance(one, Failure) else first_word(one[0], words, yes) for one in outputs]


def first_word(written: Completion, words: Mapping[int, str], yes: str) -> float:
    """The probability of `yes` where that is the first of the `words` (by token id) in the text."""
    for number, logprob in zip(written.token_ids, written.logprobs, strict=True):
        if number in words:
            return math.exp(logprob) if words[number].strip() == yes else 0.0
    return 0.5
