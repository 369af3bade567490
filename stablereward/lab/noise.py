"""A referee that is wrong at random: how much noise does the consistency reward bear?"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from stablereward.engines.engine import Engine, Sampling
from stablereward.rewards.consistency import read_digit
from stablereward.types import Completion, Failure, Prompt


@dataclass(frozen=True, slots=True)
class Flipped:
    """An engine whose replies 0 and 1 are exchanged for a share `flip` of all prompts.

    Which prompts is decided by their text, so the same analysis always meets the same mistake. Other
    replies and failures pass unchanged.
    """

    referee: Engine
    flip: float

    async def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> list[tuple[Completion, ...] | Failure]:
        """See `Engine.generate`."""
        outputs = await self.referee.generate(prompts, sampling)
        return [
            output
            if isinstance(output, Failure) or lot(prompt.text) >= self.flip
            else tuple(_exchanged(completion) for completion in output)
            for prompt, output in zip(prompts, outputs, strict=True)
        ]


def lot(text: str) -> float:
    """A number in [0, 1) that is uniform over texts and a function of the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7]) / 2**56


def _exchanged(completion: Completion) -> Completion:
    leads = read_digit(completion.text)
    return completion if leads is None else replace(completion, text="0" if leads else "1")
