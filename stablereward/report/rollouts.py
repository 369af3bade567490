"""What the policy made while it learned: a browser over updates, each sample with what it earned."""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from stablereward.report.clips import Clip, clips_of, legend, summary
from stablereward.report.filmstrip import filmstrip
from stablereward.report.markup import Html, el, join, thin
from stablereward.report.media import pictures, response
from stablereward.report.quantities import MINUS, SPACE, number, plural
from stablereward.report.run import Group, Run, Written
from stablereward.report.writing import clipped, question, writing

MAX_COMPLETIONS = 8
MAX_PARTS = 12
FORM = "format"
KINDS = {"right": "Right", "wrong": "Wrong", "clipped": "Clipped tokens", "failed": "Failed"}
BUDGET = 1_000_000
"""Characters of HTML that all rollouts together may take."""


def rollouts_section(run: Run) -> Html | None:
    """One panel per update, of which the browser shows one at a time, and what to look for in them."""
    asked = _form_is_asked(run.groups)
    by_update = groupby(run.groups, lambda one: one.update)
    panels = thin([_panel(run, update, list(groups), asked) for update, groups in by_update], BUDGET)
    if not panels:
        return None
    # One panel needs no browser; the buttons of kinds work through it.
    slider = el("input", type="range", min=0, max=len(panels) - 1, value=0, aria_label="Update")
    control = el(
        "div",
        el("button", "‹", type="button", data_step="-1", aria_label="Earlier update"),
        slider,
        el("button", "›", type="button", data_step="1", aria_label="Later update"),
        el("output", ""),
        cls="browse",
        hidden=len(panels) == 1,
    )
    several = f"{plural(len(panels), 'update')} of the run, with some of their questions."
    said = several if len(panels) > 1 else "Some questions of the run."
    written = [one for group in run.groups for one in group.completions[:MAX_COMPLETIONS]]
    return join(
        [
            filmstrip(run),
            el("p", said, cls="muted"),
            _kinds(written),
            legend() if any("clipped" in kinds_of(one) for one in written) else None,
            control,
            el("p", "Nothing of this kind in this update.", cls="muted nothing", hidden=True),
            el("div", *panels, cls="panels"),
        ]
    )


def _form_is_asked(groups: Sequence[Group]) -> bool:
    """Whether the reward has a part for the form of the text: only a judge's verdict has one."""
    return any(FORM in one.parts for group in groups for one in group.completions)


def kinds_of(written: Written) -> list[str]:
    """What a reader may look for: right or wrong where the reward has a result, clipped tokens, a failure."""
    kinds = []
    result = written.parts.get("result")
    if written.failure:
        kinds.append("failed")
    elif result is not None and math.isfinite(result):
        kinds.append("right" if result >= 0.5 else "wrong")
    return kinds + (["clipped"] if clips_of(written.tokens, written.clipped) else [])


def _kinds(written: list[Written]) -> Html | None:
    """A button for each kind that some of the completions are of."""
    counts = Counter(kind for one in written for kind in kinds_of(one))
    if len(counts) < 2:
        return None
    buttons = [el("button", "All", type="button", data_kind="", aria_pressed="true")]
    buttons += [
        el("button", f"{label} {counts[kind]}", type="button", data_kind=kind, aria_pressed="false")
        for kind, label in KINDS.items()
        if counts[kind]
    ]
    return el("div", *buttons, cls="filters kinds", role="group", aria_label="Choose samples")


def _panel(run: Run, update: int, groups: list[Group], asked: bool) -> Html:
    cards = (_group(run, one, asked) for one in groups)
    return el("div", el("h3", f"Update {update}", cls="update"), *cards, cls="panel")


def _group(run: Run, group: Group, asked: bool) -> Html:
    shown = group.completions[:MAX_COMPLETIONS]
    more = len(group.completions) - len(shown)
    advantages = [abs(one.advantage) for one in shown if one.advantage is not None]
    largest = max(filter(math.isfinite, advantages), default=0.0)
    noun = "picture" if all(map(_is_picture, shown)) else "completion"
    if noun == "picture":
        made = el("div", *(_made(run, one) for one in shown), cls="gallery")
    else:
        heads = ("reward", "advantage") if advantages else ("reward",)
        made = join(
            [
                el("p", *(el("span", head) for head in heads), cls="label earned"),
                *(_completion(run, one, largest, i == 0, asked) for i, one in enumerate(shown)),
            ]
        )
    return el(
        "article",
        el(
            "div",
            pictures(run.folder, group.images),
            question(group.question, [response(run.folder, one) for one in group.responses], group.best),
            el(
                "div",
                el("p", _summary(group.completions, noun), cls="muted")
                if len(group.completions) > 1
                else None,
                made,
                el("p", f"and {plural(more, f'more {noun}')}", cls="muted") if more > 0 else None,
                cls="judgements",
            ),
            cls="columns",
        ),
        cls="card",
    )


def _is_picture(written: Written) -> bool:
    return bool(written.images) and not written.text


def _made(run: Run, written: Written) -> Html:
    """A picture, or the strip of an episode's course, over what it earned."""
    return el(
        "div",
        pictures(run.folder, written.images, alt="made by the policy"),
        el(
            "p",
            el("b", "–" if written.reward is None else number(written.reward)),
            _advantage(written.advantage, 0.0) if written.advantage else None,
            _parts(written.parts),
            el("span", clipped(written.failure, 120), cls="tag bad") if written.failure else None,
        ),
        cls="made",
        data_kinds=" ".join(kinds_of(written)),
    )


def _summary(completions: list[Written], noun: str) -> str:
    rewards = [one.reward for one in completions if one.reward is not None]
    advantages = [one.advantage for one in completions]
    text = plural(len(completions), noun)
    if rewards:
        text += f", mean reward {number(sum(rewards) / len(rewards))}"
        equal = len(rewards) > 1 and max(rewards) == min(rewards)
        text += ", all equal" if equal else ""
        text += ": nothing to learn" if equal and not any(advantages) else ""
    failed = len(completions) - len(rewards)
    return text + (f", {failed} without a reward" if failed else "")


def _completion(run: Run, written: Written, largest: float, is_open: bool, asked: bool) -> Html:
    clips = clips_of(written.tokens, written.clipped)
    tokens = None if written.num_tokens is None else plural(written.num_tokens, "token")
    earned = "–" if written.reward is None else number(written.reward)
    return el(
        "details",
        el(
            "summary",
            el("b", earned),
            _advantage(written.advantage, largest),
            _parts(written.parts),
            el("span", tokens, cls="muted"),
            el("span", clipped(written.failure, 120), cls="tag bad") if written.failure else None,
            summary(clips, written.tokens),
            cls="earned",
        ),
        pictures(run.folder, written.images, alt="made by the policy"),
        writing(_shown(written, clips), clips, asked=asked) if written.text or not written.images else None,
        open=is_open,
        data_kinds=" ".join(kinds_of(written)),
    )


def _shown(written: Written, clips: list[Clip]) -> str:
    """The text; all its tokens together where a clipped one is not in it, such as the end of the text."""
    together = "".join(written.tokens)
    inside = together.startswith(written.text) and all(clip.end <= len(written.text) for clip in clips)
    return written.text if inside or not clips else together


def _parts(parts: dict[str, float | None]) -> Html:
    """The reward by part; one that earned nothing stands out."""
    shown = [
        el("span", f"{clipped(name, 60)}{SPACE}{number(value)}", cls="part" if value else "part none")
        for name, value in list(parts.items())[:MAX_PARTS]
        if value is not None
    ]
    return el("span", *shown, cls="muted parts")


def _advantage(advantage: float | None, largest: float) -> Html:
    """A bar to the right of its middle for a positive advantage, to the left for a negative one."""
    if advantage is None or not math.isfinite(advantage):
        return el("span", "–", cls="advantage")
    size = 50 * abs(advantage) / largest if largest else 0.0
    side = "left:50%" if advantage >= 0 else "right:50%"
    bar = el("i", style=f"{side};width:{size:.0f}%", cls="plus" if advantage >= 0 else "minus")
    signed = f"{advantage:+.2f}".replace("-", MINUS) if advantage else "0"
    return el("span", el("span", bar, cls="scale"), signed, cls="advantage")
