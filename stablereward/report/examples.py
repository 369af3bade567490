"""Held-out questions and what the judge made of them, with buttons that choose which are shown."""

from stablereward.report.markup import Html, el, join, thin
from stablereward.report.media import pictures, response
from stablereward.report.quantities import percent, plural
from stablereward.report.run import Example, Opinion, Run, Tally
from stablereward.report.writing import question, writing

MAX_EXAMPLES = 48
MAX_JUDGEMENTS = 6
BUDGET = 1_100_000
"""Characters of HTML that all examples together may take."""

VERDICTS = {"right": "good", "wrong": "bad", "undecided": "warn", "": ""}


def choice_of(example: Example) -> int | None:
    """The vote's choice, or the first judgement's where there is no vote."""
    if example.vote is not None:
        return example.vote.choice
    return example.judgements[0].choice if example.judgements else None


def outcome(choice: int | None, best: int | None) -> str:
    """ "right", "wrong", "undecided", or empty without a label."""
    if best is None:
        return ""
    if choice is None:
        return "undecided"
    return "right" if choice == best else "wrong"


def examples_section(run: Run) -> Html | None:
    """Cards of examples, those that went wrong well represented."""
    if not run.examples:
        return None
    cards = thin([_card(run, example) for example in _chosen(run.examples)], BUDGET)
    categories = list(dict.fromkeys(one.category for one in run.examples if one.category))
    wrong = sum(outcome(choice_of(one), one.best) == "wrong" for one in run.examples)
    buttons = [_button("all", "All"), _button("verdict=wrong", "Wrong"), _button("verdict=right", "Right")]
    buttons += [_button(f"category={category}", category) for category in categories]
    total = plural(len(run.examples), "example")
    shown = f"{len(cards)} of {total} shown; the verdict is wrong on {wrong} of them all."
    return join(
        [
            el("p", shown, cls="muted"),
            el("div", *buttons, cls="filters", role="group", aria_label="Choose examples"),
            el("div", *cards, cls="cards"),
            el("p", "No example of this kind is shown.", cls="muted nothing", hidden=True),
            el("button", type="button", cls="more", hidden=True),
        ]
    )


def _chosen(examples: list[Example]) -> list[Example]:
    """At most MAX_EXAMPLES in the order of the file, up to half of them wrong ones."""
    if len(examples) <= MAX_EXAMPLES:
        return examples
    missed = [
        i for i, one in enumerate(examples) if outcome(choice_of(one), one.best) in ("wrong", "undecided")
    ]
    kept = set(missed[: MAX_EXAMPLES // 2])
    kept.update([i for i in range(len(examples)) if i not in kept][: MAX_EXAMPLES - len(kept)])
    return [examples[i] for i in sorted(kept)]


def _button(value: str, label: str) -> Html:
    return el(
        "button", label, type="button", data_filter=value, aria_pressed="true" if value == "all" else "false"
    )


def _card(run: Run, example: Example) -> Html:
    verdict = outcome(choice_of(example), example.best)
    shown = example.judgements[:MAX_JUDGEMENTS]
    more = len(example.judgements) - len(shown)
    return el(
        "article",
        el(
            "header",
            el("span", verdict, cls=f"tag {VERDICTS[verdict]}") if verdict else None,
            el("span", example.category, cls="tag") if example.category else None,
            _vote(example.vote) if example.vote else None,
        ),
        el(
            "div",
            pictures(run.folder, example.images),
            question(
                example.question, [response(run.folder, one) for one in example.responses], example.best
            ),
            el(
                "div",
                *(_judgement(one, example.best, i == 0) for i, one in enumerate(shown)),
                el("p", f"and {plural(more, 'more judgement')}", cls="muted") if more > 0 else None,
                cls="judgements",
            ),
            cls="columns",
        ),
        cls="card",
        data_verdict=verdict,
        data_category=example.category,
    )


def _vote(vote: Tally) -> Html:
    """Shares of the votes as one divided bar."""
    shares = [
        el(
            "i",
            str(i + 1),
            style=f"flex-grow:{max(share, 0.0):.3f}",
            title=f"Response {i + 1}: {percent(share, 0)}",
        )
        for i, share in enumerate(vote.probabilities)
        if share > 0
    ]
    text = " : ".join(percent(share, 0) for share in vote.probabilities)
    return el(
        "span", f"{plural(vote.votes, 'vote')} ", el("span", *shares, cls="shares"), f" {text}", cls="vote"
    )


def _judgement(opinion: Opinion, best: int | None, is_open: bool) -> Html:
    verdict = outcome(opinion.choice, best)
    chose = "no choice" if opinion.choice is None else f"chose response {opinion.choice + 1}"
    swapped = opinion.order != sorted(opinion.order)
    note = (
        f"Shown in the order {', '.join(str(i + 1) for i in opinion.order)}; the text counts in that order."
    )
    return el(
        "details",
        el(
            "summary",
            el("b", opinion.judge),
            el("span", opinion.failure or chose, cls=f"tag {VERDICTS[verdict]}"),
            el("span", "swapped", cls="tag") if swapped else None,
        ),
        el("p", note, cls="muted") if swapped else None,
        writing(opinion.text) if opinion.text else None,
        open=is_open,
    )
