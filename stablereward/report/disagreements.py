"""Pairs on which judges differ, as cards: the question, the right answer, what each judge made of them."""

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby, product

from stablereward.data.prompts import transcript
from stablereward.errors import DataError
from stablereward.images import load_image
from stablereward.report.markup import Html, el
from stablereward.report.media import MAX_SHOWN, PHOTOGRAPH, TINY
from stablereward.report.quantities import percent, plural
from stablereward.report.writing import PARTS, clipped, prose, question, writing
from stablereward.types import Failure, ImageSource, Judgement, Preference, Response, Row, Vote, parts_of

MAX_PAIRS = 100
MAX_OPINIONS = 3
"""Texts of one vote that are shown."""
MAX_REASON = 600
BUDGET = 8_000_000
"""Characters of HTML that all cards together may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """One pair. `right` are the judges that were right in every order they were shown.

    `preference` is None where question, responses and images are not at hand.
    """

    rows: Mapping[str, Row]
    right: frozenset[str]
    preference: Preference | None = None

    @property
    def row(self) -> Row:
        """The first judge's: id, category and label are every judge's."""
        return next(iter(self.rows.values()))


def disagreements_section(pairs: Sequence[Disagreement], num_pairs: int) -> Html:
    """The cards, with choices of category and of who is right; `num_pairs` were judged by all.

    The choices need no script: they are radio buttons and rules of style.
    """
    if not pairs:
        return el("p", f"The judges chose alike on all {plural(num_pairs, 'pair')}.", cls="muted")
    judges = list(pairs[0].rows)
    categories = sorted({one.row.category for one in pairs if one.row.category})
    cards = _cards(pairs, judges, categories)
    who = Counter(place for one, _ in cards for place in _who(one, judges))
    where = Counter(one.row.category for one, _ in cards)
    named = [(i, f"{judge} is right", who[i]) for i, judge in enumerate(judges)]
    named.append((len(judges), "neither" if len(judges) == 2 else "none", who[len(judges)]))
    groups = [_choices("who", "In every order", named, len(cards))]
    if len(categories) > 1:
        listed = [(i, category, where[category]) for i, category in enumerate(categories)]
        groups.append(_choices("category", "Category", listed, len(cards)))
    share = f"The judges chose differently on {len(pairs):,} of {plural(num_pairs, 'pair')}"
    shown = "" if len(cards) == len(pairs) else f"; {len(cards)} of them are here, some of every kind"
    return el(
        "div",
        el("style", _rules(cards, judges, categories)),
        el("p", f"{share}{shown}.", cls="muted"),
        *groups,
        el("div", *(card for _, card in cards), cls="cards"),
        el("p", "No pair of this kind is here.", cls="muted nothing"),
        cls="pairs",
    )


def _cards(
    pairs: Sequence[Disagreement], judges: Sequence[str], categories: Sequence[str]
) -> list[tuple[Disagreement, Html]]:
    """As many as may be shown, in the order of the pairs: one of each kind first, then the second of each."""
    seen: Counter[tuple[frozenset[str], str]] = Counter()
    ranked = []
    for index, one in enumerate(pairs):
        kind = (one.right, one.row.category)
        ranked.append((seen[kind], index))
        seen[kind] += 1
    kept: dict[int, Html] = {}
    left = BUDGET
    for _, index in sorted(ranked)[:MAX_PAIRS]:
        card = _card(pairs[index], judges, categories)
        left -= len(card)
        if left < 0:
            break
        kept[index] = card
    return [(pairs[index], kept[index]) for index in sorted(kept)]


def _who(one: Disagreement, judges: Sequence[str]) -> set[int]:
    """Places of the judges that are right; the place after the last where none is."""
    return {i for i, judge in enumerate(judges) if judge in one.right} or {len(judges)}


def _choices(name: str, legend: str, named: Sequence[tuple[int, str, int]], total: int) -> Html:
    def choice(value: int | str, label: str, count: int) -> Html:
        checked = " checked" if value == "all" else ""
        button = Html(f'<input type="radio" name="{name}" id="{name}-{value}"{checked}>')
        return el("label", button, f"{label} ", el("small", str(count)))

    buttons = [choice("all", "All", total), *(choice(*one) for one in named)]
    return el("fieldset", el("legend", legend), *buttons, cls="choose")


def _rules(
    cards: Sequence[tuple[Disagreement, Html]], judges: Sequence[str], categories: Sequence[str]
) -> Html:
    """A choice hides the cards of other kinds; two that leave nothing show a line that says so."""
    names = [f"who-{i}" for i in range(len(judges) + 1)]
    places = [f"category-{i}" for i in range(len(categories))]
    rules = [f".pairs:has(#{one}:checked) .card:not(.{one}) {{ display: none }}" for one in (*names, *places)]
    kinds = {(i, one.row.category) for one, _ in cards for i in _who(one, judges)}
    anywhere, anyone = {i for i, _ in kinds}, {category for _, category in kinds}
    empty = [f"#who-{i}:checked" for i in range(len(names)) if i not in anywhere]
    empty += [f"#category-{k}:checked" for k, category in enumerate(categories) if category not in anyone]
    empty += [
        f"#who-{i}:checked):has(#category-{k}:checked"
        for (i, _), (k, category) in product(enumerate(names), enumerate(categories))
        if (i, category) not in kinds
    ]
    rules += [f".pairs:has({one}) .nothing {{ display: block }}" for one in empty]
    return Html("\n".join(rules))


def _card(one: Disagreement, judges: Sequence[str], categories: Sequence[str]) -> Html:
    row = one.row
    classes = [f"who-{i}" for i in sorted(_who(one, judges))]
    if row.category in categories:
        classes.append(f"category-{categories.index(row.category)}")
    asked = (
        question(transcript(one.preference), list(map(_response, one.preference.responses)), row.best)
        if one.preference
        else el("p", f"Pair {clipped(row.id, 120)}: response {row.best + 1} is better.", cls="question muted")
    )
    opinions = [
        _vote(judge, some, place) for judge, some in one.rows.items() for place in range(len(some.votes))
    ]
    images = one.preference.asked_images if one.preference else ()
    return el(
        "article",
        el(
            "header",
            *(_outcome(judge, some) for judge, some in one.rows.items()),
            el("span", row.category, cls="tag") if row.category else None,
        ),
        el(
            "div",
            _pictures(images) if images else None,
            asked,
            el("div", *opinions, cls="judgements"),
            cls="columns",
        ),
        cls=f"card {' '.join(classes)}",
    )


def _outcome(judge: str, row: Row) -> Html:
    right, shown = sum(vote.choice == row.best for vote in row.votes), len(row.votes)
    text = {0: "wrong", shown: "right"}.get(right, f"right in {right} of {shown} orders")
    return el(
        "span", f"{judge}: {text}", cls=f"tag {'good' if right == shown else 'warn' if right else 'bad'}"
    )


def _vote(judge: str, row: Row, place: int) -> Html:
    """The vote in one order, with what was written for it behind a click."""
    vote, order = row.votes[place], _order(row, place)
    first = "" if order is None else f"response {order[0] + 1} shown first"
    heard = len(vote.judgements) + len(vote.failures)
    said = _said(vote)
    if heard > 1:
        said += f", {sum(one.choice == vote.choice for one in vote.judgements)} of {heard}"
    kind = "warn" if vote.choice is None else "good" if vote.choice == row.best else "bad"
    summary = el(
        "summary", el("b", judge), el("span", said, cls=f"tag {kind}"), el("span", first, cls="muted")
    )
    opinions: list[Judgement | Failure] = [*vote.judgements, *vote.failures]
    told = [text for one in opinions if (text := _opinion(one)) is not None]
    if not told:
        return el("details", summary, el("p", "It wrote no reasons.", cls="muted"))
    turned = order not in (None, tuple(sorted(order or ()))) and any(
        PARTS.fullmatch(one.text) for one in vote.judgements
    )
    note = f"The text counts in the order {', '.join(str(i + 1) for i in order or ())}."
    more = len(told) - MAX_OPINIONS
    return el(
        "details",
        summary,
        el("p", note, cls="muted") if turned else None,
        *told[:MAX_OPINIONS],
        el("p", f"and {plural(more, 'more opinion')}", cls="muted") if more > 0 else None,
        open=place == 0,
    )


def _said(vote: Vote) -> str:
    if vote.choice is not None:
        return f"chose response {vote.choice + 1}"
    return "no majority" if vote.judgements else "no verdict"


def _order(row: Row, place: int) -> tuple[int, ...] | None:
    """The order shown, as its opinions say; of failures, the reverse of the other order's."""
    for one in row.votes[place].judgements:
        return one.order
    others = (one.order for vote in row.votes for one in vote.judgements)
    return next((order[::-1] for order in others), None)


def _opinion(one: Judgement | Failure) -> Html | None:
    """What was written, or why there is no verdict; None where there is nothing to read."""
    if isinstance(one, Failure):
        reason = f"no verdict: {one.reason}{f': {one.detail}' if one.detail else ''}"
        return el("div", prose(clipped(reason, MAX_REASON), "raw"), cls="opinion")
    if not one.text and not one.reasoning:
        return None
    written = writing(one.text) if PARTS.fullmatch(one.text) else prose(one.text or one.reasoning)
    sure = None if one.confidence is None else el("p", f"confidence {percent(one.confidence)}", cls="muted")
    return el("div", written, sure, cls="opinion")


def _response(response: Response) -> Html:
    """Its text, or its texts and pictures in order; neighbouring pictures in a row."""
    pieces = [
        prose("".join(part for part in found if isinstance(part, str)))
        if words
        else _pictures([part for part in found if not isinstance(part, str)])
        for words, parts in groupby(parts_of(response), lambda part: isinstance(part, str))
        for found in [list(parts)]
    ]
    return pieces[0] if len(pieces) == 1 else el("div", *pieces)


def _pictures(images: Sequence[ImageSource]) -> Html:
    more = len(images) - MAX_SHOWN
    note = el("span", f"and {plural(more, 'more image')}", cls="muted") if more > 0 else None
    return el("div", *map(_picture, images[:MAX_SHOWN]), note, cls="pictures")


def _picture(image: ImageSource) -> Html:
    """Small pictures as they are, others made small; one that cannot be read is named instead."""
    buffer = BytesIO()
    try:
        shown = load_image(image, "image")
    except DataError:
        return el("span", f"no image: {getattr(image, 'name', '')[-60:]}", cls="absent")
    tiny = max(shown.size) <= TINY
    shown.thumbnail((PHOTOGRAPH, PHOTOGRAPH))
    shown.save(buffer, "png" if tiny else "jpeg", optimize=True)
    address = f"data:image/{'png' if tiny else 'jpeg'};base64,{base64.b64encode(buffer.getvalue()).decode()}"
    cls = "pixels" if tiny else "photograph"
    width, height = shown.size
    return el("img", src=address, width=width, height=height, alt="shown to the judges", cls=cls)
