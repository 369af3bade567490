"""What a judge wrote, shown as the parts it has: its thinking and its answer."""

import re
from collections.abc import Sequence

from stablereward.report.clips import Clip, marked
from stablereward.report.markup import Html, el, join
from stablereward.report.quantities import plural

MAX_TEXT = 4_000
MAX_ANSWER = 80
# An atomic group: what was found is not sought again, which would take the square of a hostile text's length.
PARTS = re.compile(r"\s*<think>(?>(.*?)</think>\s*<answer>)(.*?)</answer>\s*(.*)", re.DOTALL | re.IGNORECASE)


def clipped(text: str, limit: int = MAX_TEXT) -> str:
    """The text, its middle left out where it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]} … [{plural(len(text) - limit, 'character')} left out] … {text[-half:]}"


def prose(text: str, cls: str = "") -> Html:
    """Text as it was written, in its own direction of writing."""
    return el("div", clipped(text), cls=f"prose {cls}".rstrip(), dir="auto")


def writing(text: str, clips: Sequence[Clip] = (), *, asked: bool = True) -> Html:
    """Thinking and answer apart where the text has both in order; otherwise the text as it is.

    `clips` are marked; their places are characters of `text`. Where one is in a tag, the tags are shown.
    Where this form was `asked` for, a text without it is told.
    """
    found = PARTS.fullmatch(text)
    if not found or not all(any(_inside(clip, found.span(i)) for i in (1, 2, 3)) for clip in clips):
        whole = _marked_prose(text, clips, (0, len(text)), "raw")
        return el(
            "div",
            el("span", "not in the asked form", cls="tag warn") if asked and not found else None,
            whole,
            cls="writing",
        )
    answer = found.group(2).strip()
    decided = (
        marked(text, clips, *found.span(2)) if len(answer) <= MAX_ANSWER else clipped(answer, MAX_ANSWER)
    )
    return el(
        "div",
        _marked_prose(text, clips, found.span(1), "think"),
        el("div", el("span", "answer", cls="label"), el("b", decided, dir="auto")),
        _marked_prose(text, clips, found.span(3), "raw") if found.group(3) else None,
        cls="writing",
    )


def _inside(clip: Clip, span: tuple[int, int]) -> bool:
    return span[0] <= clip.start and clip.end <= span[1]


def _marked_prose(text: str, clips: Sequence[Clip], span: tuple[int, int], cls: str) -> Html:
    start, end = span
    piece = text[start:end]
    start, end = end - len(piece.lstrip()), start + len(piece.rstrip())
    if not any(clip.start < end and clip.end > start for clip in clips):
        return prose(text[start:end], cls)
    half = MAX_TEXT // 2
    if end - start <= MAX_TEXT:
        body = marked(text, clips, start, end)
    else:
        left_out = f" … [{plural(end - start - MAX_TEXT, 'character')} left out] … "
        body = join(
            [marked(text, clips, start, start + half), left_out, marked(text, clips, end - half, end)]
        )
    return el("div", body, cls=f"prose {cls}", dir="auto")


def question(text: str, responses: Sequence[Html], best: int | None) -> Html:
    """A question and its responses, the better one marked; a text is `prose`."""
    return el("div", el("h3", clipped(text), dir="auto"), *_responses(responses, best), cls="question")


def _responses(responses: Sequence[Html], best: int | None) -> list[Html]:
    return [
        el(
            "div",
            el("span", f"Response {i + 1}", cls="label"),
            el("span", "better", cls="tag good") if i == best else None,
            response,
            cls="response best" if i == best else "response",
        )
        for i, response in enumerate(responses)
    ]
