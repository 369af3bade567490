"""Judging by one word: a model is asked whether a response is right, and is not waited for to say so."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

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
        answers = tuple(
            Completion(text=word, token_ids=tuple(self.policy.vocabulary.ids(word)))
            for word in (self.yes, self.no)
        )
        found: list[float | Failure] = []
        asked: list[Answered] = []
        for prompt, encoded in zip(prompts, self.policy.encode_all(prompts), strict=True):
            if isinstance(encoded, DataError):
                reason = "too_long" if isinstance(encoded, TooLongError) else "bad_prompt"
                found.append(Failure(reason=reason, detail=str(encoded)))
                continue
            found.append(0.0)
            asked.append(Group(prompt=prompt, trajectories=answers))
        family = completions(self.policy)
        self.tokens_read += sum(family.costs(asked))
        shares = iter(
            yes_share(*(math.fsum(word.logprobs) for word in group.trajectories))
            for group in forced(family, asked, self.max_batch_tokens)
        )
        return [one if isinstance(one, Failure) else next(shares) for one in found]
