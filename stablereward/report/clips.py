"""Which tokens of a completion the objective held back, as coloured marks in its text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stablereward.report.markup import Html, el, join
from stablereward.report.quantities import plural

MAX_MARKS = 400
KINDS = {
    "preclip": ("pre-clip", "log-ratio outside its bounds before exp: no gradient"),
    "dual": ("dual clip", "negative advantage and a huge ratio: the loss is held"),
    "low": ("low", "negative advantage and a ratio below 1 − ε: already less likely, no gradient"),
    "high": ("high", "positive advantage and a ratio above 1 + ε: already more likely, no gradient"),
}
"""For each kind its name and its meaning; a token of several kinds has the colour of the first."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A clipped token: the characters that it covers in the completion's text, its number, its kinds."""

    start: int
    end: int
    index: int
    kinds: tuple[str, ...]


def clips_of(tokens: Sequence[str], clipped: Mapping[str, Sequence[int]]) -> list[Clip]:
    """The first MAX_MARKS clipped tokens in order; indices without a token are passed over."""
    kinds: dict[int, list[str]] = {}
    for kind in KINDS:
        for index in clipped.get(kind, ()):
            if 0 <= index < len(tokens) and kind not in kinds.setdefault(index, []):
                kinds[index].append(kind)
    clips: list[Clip] = []
    start = 0
    for index, token in enumerate(tokens):
        if index in kinds and token and len(clips) < MAX_MARKS:
            clips.append(Clip(start, start + len(token), index, tuple(kinds[index])))
        start += len(token)
    return clips


def marked(text: str, clips: Sequence[Clip], start: int, end: int) -> Html:
    """The characters from `start` to `end` with the clipped tokens among them marked."""
    parts: list[Html | str] = []
    at = start
    for clip in clips:
        first, last = max(clip.start, at), min(clip.end, end)
        if first < last:
            meanings = "; ".join(f"{KINDS[kind][0]}: {KINDS[kind][1]}" for kind in clip.kinds)
            title = f"token {clip.index + 1}, {meanings}"
            parts += [text[at:first], el("mark", text[first:last], cls=clip.kinds[0], title=title)]
            at = last
    return join([*parts, text[at:end]])


def legend() -> Html:
    """What the colours of the marks mean."""
    keys = (el("span", el("mark", name, cls=kind), f" {meaning}") for kind, (name, meaning) in KINDS.items())
    return el("p", el("b", "Clipped tokens"), *keys, cls="legend clips")


def summary(clips: Sequence[Clip], tokens: Sequence[str]) -> Html | None:
    """How many of the tokens are clipped, by kind."""
    if not clips:
        return None
    counts = {kind: sum(kind in clip.kinds for clip in clips) for kind in KINDS}
    shown = (el("mark", f"{KINDS[kind][0]} {count}", cls=kind) for kind, count in counts.items() if count)
    return el("span", *shown, f"of {plural(len(tokens), 'token')}", cls="clips")
