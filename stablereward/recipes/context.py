"""Whether prompts and what is written after them fit the model's context, before anything is computed."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from stablereward.data.prompts import r1_reward
from stablereward.errors import DataError, TooLongError
from stablereward.policies.completions import Demonstrations, completions
from stablereward.policies.shipped import model_folder
from stablereward.policies.token import TokenPolicy
from stablereward.recipes.rows import Fault, Kind, require_skipped, tell
from stablereward.runs.progress import bar
from stablereward.training.outline import read_config
from stablereward.training.planning import without_weights
from stablereward.types import Preference, Prompt

CHUNK = 64
"""Prompts encoded between two looks at the bar."""


class Context:
    """A model's context, which prompts share with completions of at most `max_completion_length` tokens."""

    def __init__(self, policy: TokenPolicy, max_completion_length: int) -> None:
        self.policy, self.max_completion_length = policy, max_completion_length

    @classmethod
    def of(cls, model: str | Path, max_completion_length: int) -> "Context":
        """Raises ModelError where the model, its processor or its family is not there."""
        folder, config = read_config(model_folder(model))
        return cls(without_weights(folder, config), max_completion_length)

    def faults(self, preferences: Sequence[Preference]) -> list[Fault]:
        """What the model cannot be shown in both orders: an image it refuses, a prompt that is too long."""
        found: list[Fault] = []
        with bar("lengths", len(preferences)) as progress:
            for start in range(0, len(preferences), CHUNK):
                some = preferences[start : start + CHUNK]
                found += self._faults(some)
                progress(start + len(some), "")
        return found

    def _faults(self, preferences: Sequence[Preference]) -> list[Fault]:
        orders = (preferences, [preference.swapped() for preference in preferences])
        # Exchanged responses may meet their neighbours in other tokens.
        given, swapped = (self.policy.encode_all([r1_reward(one) for one in order]) for order in orders)
        left = self.policy.max_context - self.max_completion_length
        found = []
        for preference, *encoded in zip(preferences, given, swapped, strict=True):
            errors = [one for one in encoded if isinstance(one, DataError)]
            longest = max(0 if isinstance(one, DataError) else one.num_tokens for one in encoded)
            where = preference.name
            if errors:
                kind: Kind = "too_long" if isinstance(errors[0], TooLongError) else "unreadable"
                found.append(Fault(kind, where, str(errors[0])))
            elif longest > left:
                reason = (
                    f"{where}: a prompt of {longest} tokens and a completion of {self.max_completion_length} "
                    f"(rl.max_completion_length) do not fit the model's context of {self.policy.max_context}"
                )
                found.append(Fault("too_long", where, reason))
        return found


def fitting(
    policy: TokenPolicy, shown: Sequence[tuple[Prompt, str]], skip: Sequence[Kind]
) -> list[tuple[Prompt, str]]:
    """The demonstrations that fit the model's context with their prompts; says how many do not.

    Raises DataError, which names their rows, where these are not to be left out.
    """
    kept, faults = [], []
    for one, length in zip(shown, _lengths(policy, shown), strict=True):
        if length <= policy.max_context:
            kept.append(one)
            continue
        preference = one[0].preference
        where = preference.name if preference else "a demonstration"
        reason = (
            f"{where}: prompt and analysis have {length} tokens, the model's context is {policy.max_context}"
        )
        faults.append(Fault("too_long", where, reason))
    require_skipped(faults, skip, len(shown), "demonstrations")
    tell(faults, len(shown), "demonstrations")
    if not kept:
        raise DataError("no demonstration fits the model's context; take a model with a longer one")
    return kept


def _lengths(policy: TokenPolicy, shown: Sequence[tuple[Prompt, str]]) -> Iterator[int]:
    """Tokens of each demonstration with its prompt. Raises DataError for a prompt that cannot be encoded."""
    learnt, costs = Demonstrations(policy, shown), completions(policy).costs
    for start in range(0, len(shown), CHUNK):
        yield from costs(learnt.pick(range(start, min(start + CHUNK, len(shown)))))
