"""The family of tokens: completions scored by a `TokenPolicy`, every prompt read once for its group."""

from collections.abc import Mapping, Sequence
from typing import Any

from stablereward.data.prompts import transcript
from stablereward.policies.policy import Family, Scored
from stablereward.policies.token import TokenPolicy
from stablereward.policies.tree import EncodedGroup
from stablereward.types import Completion, Group, Prompt

Answered = Group[Prompt, Completion]
"""A prompt with its completions."""


def completions(policy: TokenPolicy, temperature: float = 1.0) -> Family[Prompt, Completion]:
    """How training sees what `policy` wrote at a temperature."""

    def score(groups: Sequence[Answered]) -> Scored:
        scored: Scored = policy(policy.tree([encoded(policy, group) for group in groups]), temperature)
        return scored

    def costs(groups: Sequence[Answered]) -> list[int]:
        # Prompts cost less prepared together. What cannot be read is named when it is asked for alone.
        policy.encode_all([group.prompt for group in groups])
        return [encoded(policy, group).num_tokens for group in groups]

    return Family(
        score=score,
        costs=costs,
        describe=describe,
        show=lambda completion: _shown(policy.tokenizer, completion),
        show_prompt=show_prompt,
    )


def encoded(policy: TokenPolicy, group: Answered) -> EncodedGroup:
    """The group as the policy's tree takes it; the prompt is prepared once."""
    return EncodedGroup(
        prompt=policy.encode(group.prompt), completions=tuple(t.token_ids for t in group.trajectories)
    )


class Demonstrations:
    """Texts to learn, each with its prompt. A text becomes tokens, and an end token, when it is picked."""

    def __init__(self, policy: TokenPolicy, shown: Sequence[tuple[Prompt, str]]) -> None:
        self.policy, self.shown = policy, shown

    def __len__(self) -> int:
        return len(self.shown)

    def pick(self, numbers: Sequence[int]) -> list[Answered]:
        """Some of them, as groups of one; their prompts are prepared together, which costs less."""
        picked = [self.shown[number] for number in numbers]
        self.policy.encode_all([prompt for prompt, _ in picked])
        found = []
        for prompt, text in picked:
            ids = self.policy.completion(self.policy.encode(prompt), text)
            found.append(Group(prompt=prompt, trajectories=(Completion(text=text, token_ids=ids),)))
        return found


def describe(completion: Completion) -> dict[str, float]:
    """Its length in tokens, whether the limit cut it, and how much of it is said again."""
    return {
        "completions/length": float(len(completion.token_ids)),
        "completions/clipped": float(not completion.finished),
        "completions/repetition": repetition(completion.token_ids),
    }


def repetition(token_ids: Sequence[int], size: int = 4) -> float:
    """1 - distinct / all runs of `size` tokens: 0 where none comes twice or the text is shorter."""
    runs = list(zip(*(token_ids[start:] for start in range(size)), strict=False))
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def pieces(tokenizer: Any, token_ids: Sequence[int]) -> list[str]:
    """What each token adds to the text. A character of several tokens is with the last of them."""
    found, start, told = [], 0, ""
    for end in range(1, len(token_ids) + 1):
        text = tokenizer.decode(token_ids[start:end], skip_special_tokens=False)
        if text.endswith("\N{REPLACEMENT CHARACTER}") and end < len(token_ids):
            found.append("")
            continue
        found.append(text[len(told) :])
        # The token before is decoded again with the next, for some tokenizers join with a space.
        start, told = end - 1, tokenizer.decode(token_ids[end - 1 : end], skip_special_tokens=False)
    return found


def show_prompt(prompt: Prompt) -> dict[str, Any]:
    """The question and its responses where there is a preference, else the text; and the images."""
    preference = prompt.preference
    if preference is None:
        return {"question": prompt.text.strip(), "images": prompt.images}
    return {
        "question": transcript(preference),
        "responses": list(preference.responses),
        "best": preference.best,
        "images": prompt.images,
    }


def _shown(tokenizer: Any, completion: Completion) -> Mapping[str, Any]:
    return {
        "text": completion.text,
        "num_tokens": len(completion.token_ids),
        "tokens": pieces(tokenizer, completion.token_ids),
    }
