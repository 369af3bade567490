"""How well a query is chosen among candidates: by what ran, by a vote of the rows, by a judge's scores."""

from collections.abc import Mapping, Sequence

from stablereward.evaluation.choosing import told_apart
from stablereward.judges.selection import Score, best_of, tiered, voted
from stablereward.judges.yes_no import written_shares, yes_shares
from stablereward.policies.token import TokenPolicy
from stablereward.rewards.sql_tasks import Asked, Tried
from stablereward.runs.figures import Figure
from stablereward.types import Failure

Scores = Mapping[tuple[str, str], Score]
"""Of a question and a candidate."""

ABOUT = {
    "orm": "share of questions answered rightly: by the judge, among what ran,",
    "orm_alone": "the same by the judge, whatever ran,",
    "released": "the same by the released score, among what ran,",
    "first": "the same by the first that ran,",
    "majority": "the same by a vote of the rows returned,",
    "pass": "the same where any counts,",
}


def measured(policy: TokenPolicy, held_out: Sequence[Tried], asked: Asked) -> list[Figure]:
    """How well a judge that was taught to say yes or no chooses, by `YesNo` and by the released score."""
    shown = {(t.task.question, text): asked(t.task, text) for t in held_out for text in t.task.candidates}
    prompts = list(shown.values())
    ways = yes_shares(policy, prompts), written_shares(policy, prompts)
    own, released = (dict(zip(shown, way, strict=True)) for way in ways)
    return [*chosen(held_out, own, released), in_order(held_out, own)]


def chosen(held_out: Sequence[Tried], scores: Scores, released: Scores) -> list[Figure]:
    """The share of questions for which each way takes a right candidate of the first 1, 2, 4 and so on."""
    largest = max(len(one.task.candidates) for one in held_out)
    found = []
    for num in (2**power for power in range(largest.bit_length())):
        counts = dict.fromkeys(ABOUT, 0)
        for one in held_out:
            for way, place in choices(one, num, scores, released).items():
                counts[way] += place is not None and one.right[place]
            counts["pass"] += any(one.right[:num])
        for way, count in counts.items():
            share, about = count / len(held_out), f"{ABOUT[way]} of {num}"
            found.append(Figure(name=f"{way}_{num}", value=share, about=about, n=len(held_out)))
    return found


def choices(one: Tried, num: int, scores: Scores, released: Scores) -> dict[str, int | None]:
    """The candidate that each way takes of the first `num`."""
    keys = [(one.task.question, text) for text in one.task.candidates[:num]]
    ran, own = one.ran[:num], [scores[key] for key in keys]
    answers = [o if e == 1 else None for o, e in zip(one.outcomes, ran, strict=False)]
    return {
        "orm": tiered(ran, own),
        "orm_alone": best_of(own),
        "released": tiered(ran, [released[key] for key in keys]),
        "first": tiered(ran, [0.0] * len(ran)),
        "majority": voted([None if isinstance(o, Failure) else o for o in answers]),
    }


def in_order(held_out: Sequence[Tried], scores: Scores) -> Figure:
    """Of all pairs of a right and a wrong candidate to a question, each text once, those in order."""
    right = pairs = 0.0
    for one in held_out:
        verdicts = dict(zip(one.task.candidates, one.right, strict=True))
        sides = [
            [scores[one.task.question, text] for text, fine in verdicts.items() if fine is side]
            for side in (True, False)
        ]
        won, num = told_apart(*sides)
        right, pairs = right + won, pairs + num
    about = "share of pairs of a right and a wrong candidate that the judge has in order"
    return Figure(name="told_apart", value=right / max(pairs, 1), about=about, n=int(pairs))
