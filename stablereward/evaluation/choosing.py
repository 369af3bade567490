"""Of several responses to a question one is taken: how often each way of choosing takes a right one."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from stablereward.data.questions import Question
from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.judges.likelihood import Likelihood, Span
from stablereward.judges.scalar import Scorer
from stablereward.judges.selection import Score, best_of, voted
from stablereward.policies.token import TokenPolicy
from stablereward.types import Failure, Group, Preference, Prompt, parts_of


def selected(judge: Scorer, preferences: Sequence[Preference]) -> float:
    """The share of the preferences whose right response has the highest score."""
    chosen = map(best_of, judge.scores(preferences))
    return sum(one == p.best for one, p in zip(chosen, preferences, strict=True)) / len(preferences)


def with_answers_exchanged(preference: Preference, span: Span, rng: random.Random) -> Preference:
    """The same reasonings, their answers dealt anew among them: the control of a judge of answers."""
    texts = ["".join(part for part in parts_of(r) if isinstance(part, str)) for r in preference.responses]
    places = [span(text) or (len(text), len(text)) for text in texts]
    answers = [text[slice(*place)] for text, place in zip(texts, places, strict=True)]
    rng.shuffle(answers)
    told = zip(texts, places, answers, strict=True)
    return replace(preference, responses=tuple(t[:a] + answer + t[b:] for t, (a, b), answer in told))


def told_apart(right: Sequence[Score], wrong: Sequence[Score]) -> tuple[float, int]:
    """Of all pairs of a right and a wrong response, those in order (a tie is half of one), and their number.

    What has no score is in no pair.
    """
    sides = [[one for one in side if isinstance(one, int | float)] for side in (right, wrong)]
    pairs = [(x, y) for x in sides[0] for y in sides[1]]
    return sum((x > y) + 0.5 * (x == y) for x, y in pairs), len(pairs)


def solved(
    policy: TokenPolicy,
    judge: Likelihood,
    questions: Sequence[Question],
    right: Callable[[Prompt, str], bool],
    sampling: Sampling,
    span: Span,
) -> dict[str, float]:
    """Over the policy's own samples, the share of questions that end right.

    "accuracy" is that of any sample, "vote" of a vote of their answers (see `span`), "weighted_vote" of one
    weighted by the judge, "best_of_n" of the highest score. A question that cannot be asked is not right.
    """
    written = HFEngine(policy).sample([one.prompt for one in questions], sampling)
    counts: dict[str, float] = dict.fromkeys(("accuracy", "vote", "weighted_vote", "best_of_n"), 0.0)
    for one, found in zip(questions, written, strict=True):
        if isinstance(found, Failure):
            continue
        scores = judge.read_all([Group(prompt=one.prompt, trajectories=found)])
        answers = [t.text[slice(*place)] if (place := span(t.text)) else None for t in found]
        verdicts = [right(one.prompt, t.text) for t in found]
        ways = {"vote": voted(answers), "weighted_vote": voted(answers, scores), "best_of_n": best_of(scores)}
        counts["accuracy"] += sum(verdicts) / len(verdicts)
        for name, chosen in ways.items():
            counts[name] += chosen is not None and verdicts[chosen]
    return {name: count / len(questions) for name, count in counts.items()}
