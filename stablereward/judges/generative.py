"""Judging by writing: the model reads the question and the responses, thinks, and names the better one.

R1-Reward (https://arxiv.org/abs/2505.02835): greedy for a single verdict, temperature 1 for a vote.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from stablereward.data.parsing import Verdict, verdict
from stablereward.data.prompts import r1_reward
from stablereward.engines.engine import Engine, Sampling
from stablereward.errors import EngineError
from stablereward.judges.confidence import Decode, verdict_probability
from stablereward.judges.protocol import Opinion, orders
from stablereward.types import Completion, Failure, Judgement, Preference, Prompt

_SHOWN_CHARACTERS = 120


def decoding(votes: int) -> Sampling:
    """How the paper samples: greedy for one vote, temperature 1 for several."""
    return Sampling(temperature=0.0 if votes == 1 else 1.0)


@dataclass(frozen=True, kw_only=True)
class Generative:
    """Preference → Prompt → completions → verdict, on any engine.

    `prompt` shows the responses in the order of the preference it is given; `parse(text, num_responses)`
    reads the choice among the responses as shown. `sampling=None` is `decoding(votes)`; a given one is
    used as it is, except for `num_generations`, which is always the number of votes. With `decode`, which
    gives the text of the engine's token ids, a judgement carries its confidence, see `verdict_probability`.

    Failures: those of the engine, those of `parse`, and "truncated" where the length limit came before
    a verdict.
    """

    engine: Engine
    prompt: Callable[[Preference], Prompt] = r1_reward
    parse: Callable[[str, int], Verdict | Failure] = verdict
    sampling: Sampling | None = None
    decode: Decode | None = None

    async def judge(self, preference: Preference) -> Opinion:
        """One opinion, in the given order."""
        [[opinion]] = await self.opinions([preference])
        return opinion

    async def opinions(
        self, preferences: Sequence[Preference], *, votes: int = 1, both_orders: bool = False
    ) -> list[tuple[Opinion, ...]]:
        """See `PreferenceJudge.opinions`. One call of the engine for all of them.

        Raises `EngineError` where the engine writes fewer or more completions than asked for.
        """
        shown = [[(p, order) for order in orders(len(p.responses), both_orders)] for p in preferences]
        prompts = [self.prompt(p.reordered(order)) for pairs in shown for p, order in pairs]
        sampling = replace(self.sampling or decoding(votes), num_generations=votes)
        outputs = iter(await self.engine.generate(prompts, sampling))
        return [
            tuple(opinion for _, order in pairs for opinion in self._read(next(outputs), order, votes))
            for pairs in shown
        ]

    def _read(
        self, output: tuple[Completion, ...] | Failure, order: tuple[int, ...], votes: int
    ) -> tuple[Opinion, ...]:
        if isinstance(output, Failure):
            return (output,) * votes
        if len(output) != votes:
            raise EngineError(
                f"the engine wrote {len(output)} completions where {votes} were asked for; "
                "use one that honours num_generations, or votes=1"
            )
        return tuple(self._opinion(completion, order) for completion in output)

    def _opinion(self, completion: Completion, order: tuple[int, ...]) -> Opinion:
        read = self.parse(completion.text, len(order))
        if isinstance(read, Failure):
            ending = f"the text ends with {completion.text[-_SHOWN_CHARACTERS:]!r}"
            if completion.finished:
                return Failure(reason=read.reason, detail=f"{read.detail}; {ending}")
            limit = (self.sampling or decoding(1)).max_completion_length
            return Failure(
                reason="truncated",
                detail=f"the limit of {limit} tokens came before a verdict; raise it "
                f"(--max-completion-length); {ending}",
            )
        return Judgement(
            choice=order[read.choice],
            reasoning=read.reasoning,
            text=completion.text,
            order=order,
            num_tokens=len(completion.token_ids),
            confidence=self.decode and verdict_probability(completion, read.choice + 1, self.decode),
        )
