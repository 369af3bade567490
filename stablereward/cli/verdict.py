"""A vote as JSON for programs, in indices from 0, and as a panel for people, who count from response 1."""

from collections import Counter
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from stablereward.cli.printing import printable
from stablereward.data.prompts import transcript
from stablereward.data.responses import in_words as said_in_words
from stablereward.report.writing import clipped
from stablereward.types import Judgement, Preference, Vote


def as_json(vote: Vote, preference: Preference) -> dict[str, Any]:
    """`choice`, `best` and `order` are indices into the responses, from 0; `no_choice` says why none is.

    `reasoning` is that of the first opinion that agrees with the choice. It speaks of the responses as
    the judge saw them: its "Response 1" is the first of `order`.
    """
    spokesman = _spokesman(vote)
    known = {"id": preference.id, "category": preference.category}
    return {
        **{name: value for name, value in known.items() if value},
        "choice": vote.choice,
        **({} if vote.choice is not None else {"no_choice": why_no_choice(vote)}),
        **({} if preference.best is None else {"best": preference.best}),
        "probabilities": list(vote.probabilities),
        "votes": len(vote.judgements),
        "reasoning": spokesman.reasoning if spokesman else "",
        "judgements": [
            {"choice": j.choice, "order": list(j.order), "reasoning": j.reasoning} for j in vote.judgements
        ],
        "failures": [{"reason": f.reason, "detail": f.detail} for f in vote.failures],
    }


def why_no_choice(vote: Vote) -> str:
    """In words: every opinion failed, the same position won in both orders, or a tie."""
    if not vote.judgements:
        counts = Counter(failure.reason for failure in vote.failures)
        return f"every opinion failed: {_counts(counts)}"
    places = {judgement.order.index(judgement.choice) for judgement in vote.judgements}
    if len(places) == 1 and len({judgement.order for judgement in vote.judgements}) > 1:
        return f"the same position in both orders: always the response shown as number {places.pop() + 1}"
    return "a tie"


def as_panel(vote: Vote, preference: Preference) -> Panel:
    """The verdict, what each response got, and one opinion in full."""
    shares = Table.grid(padding=(0, 2))
    for number, (said, share) in enumerate(zip(preference.responses, vote.probabilities, strict=True), 1):
        mark = "→" if vote.choice == number - 1 else " "
        shares.add_row(mark, str(number), f"{share:.0%}", _shown(said_in_words(said)))
    parts: list[RenderableType] = [_shown(transcript(preference), style="bold"), Text(), shares, Text()]
    spokesman = _spokesman(vote)
    if spokesman is not None:
        shown = ", ".join(str(index + 1) for index in spokesman.order)
        parts += [Text(f"Reasoning (responses shown in the order {shown}):", style="dim")]
        parts += [_shown(spokesman.reasoning), Text()]
    heard = in_words(len(vote.judgements), Counter(failure.reason for failure in vote.failures))
    return Panel(Group(*parts, Text(heard, style="dim")), title=_headline(vote), title_align="left")


def in_words(num_opinions: int, failures: Counter[str]) -> str:
    """How many opinions there are, and why others are missing."""
    return f"opinions: {num_opinions}" + (f"; failed: {_counts(failures)}" if failures else "")


def _counts(failures: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in failures.most_common())


def _shown(text: str, style: str = "") -> Text:
    # Wrapping a text of megabytes would take minutes; JSON has all of it.
    return Text(printable(clipped(text)), style=style)


def _headline(vote: Vote) -> str:
    if vote.choice is not None:
        return f"Response {vote.choice + 1} is better"
    return f"No choice: {why_no_choice(vote)}"


def _spokesman(vote: Vote) -> Judgement | None:
    agreeing = (j for j in vote.judgements if vote.choice in (j.choice, None))
    return next(agreeing, None)
