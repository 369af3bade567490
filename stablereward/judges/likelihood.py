"""Judging by likelihood: a model reads a response as if it wrote it, and what it finds likely is its score.

Nothing is written and nothing has to be trained: any language model scores any other's responses. A
`Reading` makes one number of the log-probabilities of a response's tokens.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stablereward.data.parsing import boxed
from stablereward.errors import DataError, TooLongError
from stablereward.judges.confidence import Decode, tokens_of
from stablereward.policies.classifier import too_long
from stablereward.policies.completions import Answered, completions
from stablereward.policies.forcing import SCORED_TOGETHER, forced
from stablereward.policies.token import TokenPolicy
from stablereward.policies.tree import EncodedPrompt
from stablereward.types import Completion, Failure, Group, Preference, Prompt, Response

Reading = Callable[[Completion], float | Failure]
"""From a response, whose `logprobs` are those of the model that judges, to its score."""

Span = Callable[[str], tuple[int, int] | None]
"""Where in a response its answer stands, from the first letter to before the last; None where nowhere.

`stablereward.data.parsing.boxed` finds the one in a box.
"""


def last_line(text: str) -> tuple[int, int] | None:
    """The line that the text ends with; None where that is empty."""
    start = text.rfind("\n") + 1
    return (start, len(text)) if start < len(text) else None


def sequence_logprob(response: Completion) -> float:
    """Σ_t log π(y_t | x, y_<t), the end token included."""
    return math.fsum(response.logprobs)


def mean_logprob(response: Completion) -> float:
    """The mean log-probability of a token: minus the logarithm of the perplexity."""
    return math.fsum(response.logprobs) / len(response.logprobs)


def answer_confidence(decode: Decode, span: Span = boxed) -> Reading:
    """(1/|â|) Σ_t π(a_t | x, r̂, a_<t): the mean probability of the answer's tokens, in (0, 1].

    The reasoning is read and not counted. It is a mean of probabilities: exp of the mean log-probability is
    less, the more so where one token is unlikely. https://arxiv.org/abs/2510.13501, equation 1. Failure
    "no_answer" where `span` finds none. `decode` gives the text of the policy's token ids.
    """

    def read(response: Completion) -> float | Failure:
        found = span(response.text)
        if found is None or found[0] == found[1]:
            return Failure(reason="no_answer", detail=f"the text ends with {response.text[-80:]!r}")
        logprobs = response.logprobs[tokens_of(found, response, decode)]
        return math.fsum(map(math.exp, logprobs)) / len(logprobs)

    return read


def shown_alone(preference: Preference) -> Prompt:
    """The history and the question as turns."""
    return Prompt(messages=preference.messages)


@dataclass(kw_only=True)
class Likelihood:
    """A `judges.scalar.Scorer` of what `read` makes of a response's log-probabilities.

    With a `reference` the score is the difference of what both models' readings say: of `sequence_logprob`
    then log π(y|x) - log π_ref(y|x), which times β is DPO's implicit reward
    (https://arxiv.org/abs/2305.18290, section 4). Failures: "bad_prompt", "too_long",
    "not_text" for a response with a picture, and those of `read`.
    """

    policy: TokenPolicy
    read: Reading = sequence_logprob
    prompt: Callable[[Preference], Prompt] = shown_alone
    reference: TokenPolicy | None = None
    temperature: float = 1.0
    max_batch_tokens: int = SCORED_TOGETHER
    tokens_read: int = field(default=0, init=False)

    def scores(self, preferences: Sequence[Preference]) -> list[tuple[float | Failure, ...]]:
        """The score of every response of each preference, or why there is none."""
        found: list[list[float | Failure]] = []
        places: list[tuple[int, int]] = []
        asked: list[Answered] = []
        prompts = [self.prompt(preference) for preference in preferences]
        for place, encoded in enumerate(self.policy.encode_all(prompts)):
            texts = preferences[place].responses
            if isinstance(encoded, DataError):
                reason = "too_long" if isinstance(encoded, TooLongError) else "bad_prompt"
                found.append([Failure(reason=reason, detail=str(encoded))] * len(texts))
                continue
            read = [self._written(encoded, response) for response in texts]
            found.append([one if isinstance(one, Failure) else 0.0 for one in read])
            places += [(place, n) for n, one in enumerate(read) if isinstance(one, Completion)]
            written = tuple(one for one in read if isinstance(one, Completion))
            asked.append(Group(prompt=prompts[place], trajectories=written))
        for (place, number), score in zip(places, self.read_all(asked), strict=True):
            found[place][number] = score
        return [tuple(scores) for scores in found]

    def _written(self, prompt: EncodedPrompt, response: Response) -> Completion | Failure:
        """The response as if the model had written it."""
        if not isinstance(response, str):
            return Failure(reason="not_text", detail="a response with a picture is nothing a model writes")
        ids = self.policy.completion(prompt, response)
        length, most = prompt.num_tokens + len(ids), self.policy.max_context
        return too_long(length, most) if length > most else Completion(text=response, token_ids=ids)

    def read_all(self, groups: Sequence[Answered]) -> list[float | Failure]:
        """The scores of responses that are tokens already, in the order of the groups."""
        own = self._readings(self.policy, groups)
        if self.reference is None:
            return own
        other = self._readings(self.reference, groups)
        return [_difference(a, b) for a, b in zip(own, other, strict=True)]

    def _readings(self, policy: TokenPolicy, groups: Sequence[Answered]) -> list[float | Failure]:
        family = completions(policy, self.temperature)
        self.tokens_read += sum(family.costs([group for group in groups if group.trajectories]))
        read = forced(family, groups, self.max_batch_tokens)
        return [self.read(response) for group in read for response in group.trajectories]


def _difference(own: float | Failure, other: float | Failure) -> float | Failure:
    if isinstance(own, Failure) or isinstance(other, Failure):
        return own if isinstance(own, Failure) else other
    return own - other
