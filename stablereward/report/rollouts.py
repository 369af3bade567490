"""What the policy wrote while it learned: a browser over updates, each completion with what it earned."""

import math
from collections import Counter
from itertools import groupby

from stablereward.report.clips import Clip, clips_of, legend, summary
from stablereward.report.markup import Html, el, join, thin
from stablereward.report.media import pictures, response
from stablereward.report.quantities import MINUS, SPACE, number, plural
from stablereward.report.run import Group, Run, Written
from stablereward.report.writing import clipped, question, writing

MAX_COMPLETIONS = 8
MAX_PARTS = 12
KINDS = {"right": "Right", "wrong": "Wrong", "clipped": "Clipped tokens", "failed": "Failed"}
BUDGET = 1_000_000
"""Characters of HTML that all rollouts together may take."""


def rollouts_section(run: Run) -> Html | None:
    """One panel per update, of which the browser shows one at a time, and what to look for in them."""
    panels = thin(
        [_panel(run, update, list(groups)) for update, groups in groupby(run.groups, lambda one: one.update)],
        BUDGET,
    )
    if not panels:
        return None
    slider = el("input", type="range", min=0, max=len(panels) - 1, value=0, aria_label="Update")
    control = el(
        "div",
        el("button", "‹", type="button", data_step="-1", aria_label="Earlier update"),
        slider,
        el("button", "›", type="button", data_step="1", aria_label="Later update"),
        el("output", ""),
        cls="browse",
    )
    written = [one for group in run.groups for one in group.completions[:MAX_COMPLETIONS]]
    return join(
        [
            el(
                "p", f"{plural(len(panels), 'update')} of the run, with some of their questions.", cls="muted"
            ),
            _kinds(written),
            legend() if any("clipped" in kinds_of(one) for one in written) else None,
            control,
            el("p", "No such completion in this update.", cls="muted nothing", hidden=True),
            el("div", *panels, cls="panels"),
        ]
    )


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
    return el("div", *buttons, cls="filters kinds", role="group", aria_label="Choose completions")


def _panel(run: Run, update: int, groups: list[Group]) -> Html:
    return el(
        "div", el("h3", f"Update {update}", cls="update"), *(_group(run, one) for one in groups), cls="panel"
    )


def _group(run: Run, group: Group) -> Html:
    shown = group.completions[:MAX_COMPLETIONS]
    more = len(group.completions) - len(shown)
    advantages = [abs(one.advantage) for one in shown if one.advantage is not None]
    largest = max(filter(math.isfinite, advantages), default=0.0)
    return el(
        "article",
        el(
            "div",
            pictures(run.folder, group.images),
            question(group.question, [response(run.folder, one) for one in group.responses], group.best),
            el(
                "div",
                el("p", _summary(group.completions), cls="muted"),
                el("p", el("span", "reward"), el("span", "advantage"), cls="label earned"),
                *(_completion(run, one, largest, i == 0) for i, one in enumerate(shown)),
                el("p", f"and {plural(more, 'more completion')}", cls="muted") if more > 0 else None,
                cls="judgements",
            ),
            cls="columns",
        ),
        cls="card",
    )


def _summary(completions: list[Written]) -> str:
    rewards = [one.reward for one in completions if one.reward is not None]
    text = plural(len(completions), "completion")
    if rewards:
        text += f", mean reward {number(sum(rewards) / len(rewards))}"
        text += ", all equal: nothing to learn" if len(rewards) > 1 and max(rewards) == min(rewards) else ""
    failed = len(completions) - len(rewards)
    return text + (f", {failed} without a reward" if failed else "")


def _completion(run: Run, written: Written, largest: float, is_open: bool) -> Html:
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
        pictures(run.folder, written.images),
        writing(_shown(written, clips), clips) if written.text or not written.images else None,
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
