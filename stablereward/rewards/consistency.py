"""The consistency reward of R1-Reward: a referee says whether the analysis leads to the choice."""

import re
from collections.abc import Callable
from importlib.resources import files

from stablereward.data.parsing import Verdict, verdict
from stablereward.data.prompts import transcript
from stablereward.data.responses import in_words
from stablereward.engines.engine import Engine, Sampling
from stablereward.rewards.reward import RewardFunction, Sample
from stablereward.types import Failure, Preference, Prompt, Reward

GREEDY = Sampling(temperature=0.0, max_completion_length=16)
"""Enough for one digit; a referee that thinks first needs a longer completion."""

_TEMPLATE = files("stablereward.rewards").joinpath("templates/referee.txt").read_text(encoding="utf-8")
_MAX_DETAIL = 200
# A lone digit, perhaps quoted, bold, labelled or followed by a full stop. Any other number or word
# makes it no reply: "10", "0 or 1", "-1" and "Response 1" are not opinions.
_REPLY = re.compile(r"""(?:(?:output|answer)\s*:)?[\s*"'`]*([01])[\s*"'`.]*""", re.IGNORECASE)

_TAG = re.compile(r"<(?=/?(?:question|response|analysis|choice)\b)", re.IGNORECASE)

ReadReply = Callable[[str], float | Failure]
"""The consistency value of a referee's reply."""


def paper_values(reply: str) -> float | Failure:
    """1 consistent, 0 inconsistent, Failure("referee_unparsable") otherwise: the paper's {0, 1}."""
    leads = read_digit(reply)
    if leads is None:
        return Failure(reason="referee_unparsable", detail=repr(reply[:_MAX_DETAIL]))
    return float(leads)


def released_values(reply: str) -> float:
    """1 consistent, -1 inconsistent, 0 where the reply cannot be read: the released code's {-1, 0, 1}."""
    leads = read_digit(reply)
    return 0.0 if leads is None else 1.0 if leads else -1.0


def read_digit(reply: str) -> bool | None:
    """The referee's 1 or 0 after any `</think>`; None where the reply is not exactly one of them."""
    match = _REPLY.fullmatch(reply.rpartition("</think>")[2].strip())
    return None if match is None else match[1] == "1"


def referee_prompt(preference: Preference, opinion: Verdict) -> Prompt:
    """The question, every response, the whole analysis and the choice, as one text.

    It has no images: what is checked is the reasoning against its own conclusion, not the responses
    against the images. For a referee that is to see them, pass another `ask`.
    """
    responses = "\n\n".join(
        f'<response number="{number}">\n{_quoted(in_words(response))}\n</response>'
        for number, response in enumerate(preference.responses, start=1)
    )
    return Prompt.user(
        text=_TEMPLATE.format(
            question=_quoted(transcript(preference)),
            responses=responses,
            analysis=_quoted(opinion.reasoning),
            choice=opinion.choice + 1,
        )
    )


def _quoted(text: str) -> str:
    # A text that writes the template's tags could speak to the referee as if it were the template.
    return _TAG.sub("< ", text)


def consistency_reward(
    referee: Engine,
    *,
    read: ReadReply = paper_values,
    ask: Callable[[Preference, Verdict], Prompt] = referee_prompt,
    sampling: Sampling = GREEDY,
) -> RewardFunction:
    """A reward: what `referee` says of the whole analysis and the choice of a sample.

    `Consistency` of https://arxiv.org/abs/2505.02835, section 4.3. A completion without a readable
    verdict is 0, and the referee is not asked. Failures: "no_preference", "referee_failed", and those
    of `read`.
    """

    async def consistency(sample: Sample) -> Reward | Failure:
        preference = sample.prompt.preference
        if preference is None:
            return Failure(reason="no_preference", detail="the prompt does not say what it was made from")
        opinion = verdict(sample.completion.text, len(preference.responses))
        if isinstance(opinion, Failure):
            return Reward(value=0.0)
        [reply] = await referee.generate([ask(preference, opinion)], sampling)
        if isinstance(reply, Failure):
            return Failure(reason="referee_failed", detail=f"{reply.reason}: {reply.detail}")
        value = read(reply[0].text)
        if isinstance(value, Failure) and not reply[0].finished:
            cut = f"the reply was cut at {sampling.max_completion_length} tokens: {value.detail}"
            return Failure(reason=value.reason, detail=cut)
        return value if isinstance(value, Failure) else Reward(value=value)

    return consistency
