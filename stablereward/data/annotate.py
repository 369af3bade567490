"""Long-CoT demonstrations for the cold start: an annotator is asked until its verdict matches the label.

Section 4.3 of https://arxiv.org/abs/2505.02835: up to three tries; what was kept is learnt, and the
number of tries is a measure of difficulty.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from stablereward.data.parsing import strict_format, verdict
from stablereward.engines.engine import Engine, Sampling
from stablereward.types import Completion, Failure, Prompt

NEVER_RIGHT = "never_right"
_MANY_PROMPTS = 3
"""So many prompts answered with their last text again are no chance."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """The first right analysis, in exactly the format of R1-Reward, and the number of its try."""

    text: str
    tries: int


async def annotate(
    prompts: Sequence[Prompt], annotator: Engine, *, max_tries: int = 3, sampling: Sampling | None = None
) -> list[Annotation | Failure]:
    """One annotation a prompt, in order, or a Failure ("never_right", or that of the annotator).

    Each prompt needs a labelled preference. Every round asks once about the prompts still open, with
    another seed; a warning says where it brought the same texts again, for then tries are no samples.
    """
    base = sampling or Sampling()
    outcomes: dict[int, Annotation | Failure] = {}
    texts: dict[int, str] = {}
    open_prompts = list(range(len(prompts)))
    for number in range(1, max_tries + 1):
        asked = [prompts[n] for n in open_prompts]
        outputs = await annotator.generate(asked, replace(base, num_generations=1, seed=base.seed + number))
        repeated = 0
        for n, output in zip(open_prompts, outputs, strict=True):
            if isinstance(output, Failure):
                outcomes[n] = output
                continue
            repeated += texts.get(n) == output[0].text
            texts[n] = output[0].text
            text = _right_analysis(prompts[n], output[0])
            wrong = Failure(reason=NEVER_RIGHT, detail=f"{number} tries")
            outcomes[n] = wrong if text is None else Annotation(text=text, tries=number)
        if number == 2 and repeated == len(asked) >= _MANY_PROMPTS:
            _log.warning(
                "the annotator wrote the same %d texts again with another seed; does its server sample? "
                "Its model's generation config may say otherwise (do_sample, top_k)",
                repeated,
            )
        open_prompts = [n for n in open_prompts if isinstance(outcomes[n], Failure)]
        if not open_prompts:
            break
    return [outcomes[n] for n in range(len(prompts))]


def _right_analysis(prompt: Prompt, completion: Completion) -> str | None:
    """The analysis where its verdict is the label; the format that RL rewards is written out strictly."""
    preference = prompt.preference
    if preference is None or preference.best is None:
        return None
    read = verdict(completion.text, len(preference.responses))
    if isinstance(read, Failure) or read.choice != preference.best or not read.reasoning.strip():
        return None
    text = f"<think>{read.reasoning.strip()}</think><answer>{read.choice + 1}</answer>"
    # Tags inside the thinking would break the format.
    return text if strict_format(text) else None
