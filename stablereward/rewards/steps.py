"""Rewards of steps: a completion cut at a separator, every step scored, the scores put where steps end."""

from collections.abc import Callable, Sequence

from stablereward.policies.token import TokenPolicy
from stablereward.rewards.reward import RewardFunction, Sample
from stablereward.types import Failure, Prompt, Reward

StepScores = Callable[[Prompt, Sequence[str]], Sequence[float] | Failure]
"""A process reward: from a prompt and the texts of an answer's steps to a score for each."""

Verdict = Callable[[Prompt, str], float | None]
"""What an answer verifiably earns; None where that cannot be said of the prompt."""


class Steps:
    """Where the steps of a policy's completions end: at tokens whose own text ends with the separator, and at
    the last token. PURE, https://arxiv.org/abs/2504.15275."""

    def __init__(self, policy: TokenPolicy, separator: str) -> None:
        self.policy, self.separator = policy, separator
        self._separates: dict[int, bool] = {}

    def ends(self, token_ids: Sequence[int]) -> list[int]:
        """The places of the last tokens of the steps."""
        last = len(token_ids) - 1
        return [place for place, token in enumerate(token_ids) if place == last or self.separates(token)]

    def separates(self, token: int) -> bool:
        """Whether a token is a separator."""
        if token not in self._separates:
            self._separates[token] = self.policy.decode([token]).endswith(self.separator)
        return self._separates[token]

    def texts(self, token_ids: Sequence[int]) -> list[str]:
        """What the steps say, without their separators."""
        found, start = [], 0
        for end in self.ends(token_ids):
            found.append(self.policy.decode(token_ids[start : end + 1]).removesuffix(self.separator))
            start = end + 1
        return found

    def monitors(self) -> dict[str, Callable[[Sample], float]]:
        """Figures of a sample by which hacking shows: its steps, those written before, and its separators."""

        def repeated(sample: Sample) -> float:
            texts = self.texts(sample.completion.token_ids)
            return 1 - len(set(texts)) / len(texts)

        def separators(sample: Sample) -> float:
            ids = sample.completion.token_ids
            return sum(map(self.separates, ids)) / len(ids)

        return {
            "steps/count": lambda sample: float(len(self.ends(sample.completion.token_ids))),
            "steps/repeated": repeated,
            "steps/separators": separators,
            "steps/empty": lambda sample: float(not sample.completion.text.strip()),
        }


def signed(scores: StepScores) -> StepScores:
    """2 p - 1 for every probability p: what is more likely bad than good costs."""

    def found(prompt: Prompt, steps: Sequence[str]) -> Sequence[float] | Failure:
        outcome = scores(prompt, steps)
        return outcome if isinstance(outcome, Failure) else [2 * p - 1 for p in outcome]

    return found


def step_reward(steps: Steps, scores: StepScores, verdict: Verdict | None = None) -> RewardFunction:
    """Every step's score at its last token; the value is the verdict, 0 where there is none.

    Without `verdict` the value is the mean score, for people to look at. The parts have mean and smallest
    score.
    """

    def reward(sample: Sample) -> Reward | Failure:
        ids = sample.completion.token_ids
        ends, found = steps.ends(ids), scores(sample.prompt, steps.texts(ids))
        if isinstance(found, Failure):
            return found
        placed: list[float | None] = [None] * len(ids)
        for end, score in zip(ends, found, strict=True):
            placed[end] = score
        mean = sum(found) / len(found)
        value = mean if verdict is None else verdict(sample.prompt, sample.completion.text) or 0.0
        return Reward(value=value, parts={"process": mean, "worst_step": min(found)}, steps=tuple(placed))

    return reward
