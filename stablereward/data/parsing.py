"""What a model wrote → its verdict. Nothing is guessed: what cannot be read is a Failure."""

import re
from dataclasses import dataclass

from stablereward.types import Failure

_TAG = re.compile(r"<(/?)(think|answer)\s*>", re.IGNORECASE)
_THOUGHT_END = re.compile(r"</think\s*>", re.IGNORECASE)
_MAX_ANSWER = 200
BOX = r"\boxed{"
_DECORATION = " \t\r\n*_\"'`[](){}.:#!$"
_ANSWER = re.compile(
    r"(?:(?:the )?(?:response|answer|option|choice)[ *_:#\"'`\[(]*)?([0-9]{1,4})"
    r"(?:[ *_\"'`\])]*is (?:the )?better(?: (?:response|answer|option|choice|one))?)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`choice` is an index into the responses in the order they were shown, from 0."""

    choice: int
    reasoning: str = ""


def strict_format(text: str) -> bool:
    """Whether the text is exactly `<think>…</think><answer>…</answer>`, each tag once.

    The format reward of https://arxiv.org/abs/2505.02835, section 4.3, which asks that
    `^<think>.*?</think><answer>.*?</answer>$` matches, dots matching line breaks too, and `$` therefore
    also before one last line break.
    """
    tags = ("<think>", "</think>", "<answer>", "</answer>")
    return (
        all(text.count(tag) == 1 for tag in tags)
        and text.startswith("<think>")
        and "</think><answer>" in text
        and text.removesuffix("\n").endswith("</answer>")
    )


def verdict(text: str, num_responses: int) -> Verdict | Failure:
    """The choice in the `<answer>` tag, written `2`, `**2**`, `Response 2`, `\\boxed{2}` and the like.

    Thinking comes first: it ends at the first `</think>`, opened or not, and answer tags inside any
    thinking are not verdicts. The same verdict given twice counts once.
    Failures: "no_answer", "truncated" (a tag, of thinking too, was opened and never closed),
    "unreadable_answer", "ambiguous_answer" (two different choices), "out_of_range".
    """
    thought_end = _THOUGHT_END.search(text)
    spans, open_tag = answers(text, thought_end.end() if thought_end else 0)
    if open_tag:
        return Failure(reason="truncated", detail=f"the <{open_tag}> tag is never closed")
    if not spans:
        return Failure(reason="no_answer", detail="there is no <answer> tag after the thinking")
    choices: set[int] = set()
    for start, end in spans:
        choice = _choice(text[start:end], num_responses)
        if isinstance(choice, Failure):
            return choice
        choices.add(choice)
    if len(choices) > 1:
        given = ", ".join(str(choice + 1) for choice in sorted(choices))
        return Failure(reason="ambiguous_answer", detail=f"several answers: {given}")
    return Verdict(choice=choices.pop(), reasoning=_thinking(text, thought_end, spans[0][0]).strip())


def answers(text: str, start: int = 0) -> tuple[list[tuple[int, int]], str]:
    """The places inside the answer tags from `start` on that no thinking holds, and the tag left open."""
    spans, open_tag, opened = [], "", 0
    for tag in _TAG.finditer(text, start):
        name = tag[2].lower()
        if not open_tag and not tag[1]:
            open_tag, opened = name, tag.end()
        elif tag[1] and name == open_tag:
            if name == "answer":
                spans.append((opened, tag.start()))
            open_tag = ""
    return spans, open_tag


def boxed(text: str) -> tuple[int, int] | None:
    r"""The place inside the last \boxed{…}; None where there is none that ends."""
    start = text.rfind(BOX)
    if start < 0:
        return None
    start += len(BOX)
    depth = 1
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return start, place
    return None


def _thinking(text: str, thought_end: re.Match[str] | None, first_answer: int) -> str:
    """What stands before the end of the thinking, or before the first answer where nothing marks one."""
    first = _TAG.search(text)
    opened = first is not None and first[1] == "" and first[2].lower() == "think"
    end = thought_end.start() if thought_end else text.rindex("<", 0, first_answer)
    return text[first.end() if first and opened else 0 : end]


def _choice(answer: str, num_responses: int) -> int | Failure:
    detail = f"the answer is {answer[:80]!r}"
    if len(answer) > _MAX_ANSWER:
        return Failure(reason="unreadable_answer", detail=detail)
    words = " ".join(answer.lower().replace("\\boxed{", " ").split()).strip(_DECORATION)
    match = _ANSWER.fullmatch(words)
    if match is None:
        numbers = set(re.findall(r"[0-9]+", words))
        reason = "ambiguous_answer" if len(numbers) > 1 else "unreadable_answer"
        return Failure(reason=reason, detail=detail)
    number = int(match[1])
    if not 1 <= number <= num_responses:
        return Failure(reason="out_of_range", detail=f"{detail}; there are {num_responses} responses")
    return number - 1
