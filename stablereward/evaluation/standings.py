"""Judges side by side on the same pairs: every measure of each, on screen, as Markdown and as JSON."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from stablereward.evaluation import curves as voting
from stablereward.evaluation.calibration import Bin, averaged, bins, expected_error
from stablereward.evaluation.cost import Cost
from stablereward.evaluation.intervals import share_interval
from stablereward.evaluation.metrics import Summary, by_category, clusters, summarise
from stablereward.evaluation.rules import left_out, right_shown_first, right_shown_later
from stablereward.evaluation.tables import grid
from stablereward.types import Row

Curves = Mapping[str, Sequence[voting.Point]]
"""Accuracy by votes for each way of voting, the majority first."""

NO_CURVES: Curves = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one judge did. Shares are in [0, 1]; None where there is nothing to count.

    `summary`           see `metrics.Summary`; its `accuracy_mean` is the micro average
    `macro`             mean of the categories' `accuracy_mean`
    `right_first`       right / votes given while the right response stood first, what scripts with the chosen
                        response always first report
    `right_later`       likewise while it did not stand first
    `among_verdicts`    right / votes with a winner
    `together`          accuracy of one vote of all orders, by mean probability; None with one order
    `together_interval` its 95 % interval
    `calibration_error` of that vote; None with one opinion per order
    `reliability`       its bins
    `categories`        a summary of each
    `failures`          how many opinions failed, by reason
    `confidence`        mean confidence of the opinions; None where one of them has none
    `cost`              of a judgement; None where it was not measured
    """

    summary: Summary
    macro: float
    right_first: float | None
    right_later: float | None
    among_verdicts: float | None
    together: float | None
    together_interval: tuple[float, float] | None
    calibration_error: float | None
    reliability: tuple[Bin, ...]
    categories: Mapping[str, Summary]
    failures: Mapping[str, int]
    confidence: float | None
    cost: Cost | None


def standing(
    rows: Sequence[Row],
    judge: str,
    *,
    in_given_order: bool = True,
    cost: Cost | None = None,
) -> Standing:
    """All measures of one judge's rows.

    `in_given_order=False` says that the order was drawn by lot: then nothing depends on the stored one.
    """
    summary = summarise(rows, judge=judge)
    categories = by_category(rows, judge=judge)
    means = [one.accuracy_mean for one in categories.values()]
    both = summary.accuracy_swapped is not None
    together = [float(averaged(row).choice == row.best) for row in rows] if both else []
    reliability = tuple(bins(rows)) if summary.votes > 1 else ()
    return Standing(
        summary=summary,
        macro=sum(means) / len(means),
        right_first=_mean([p for row in rows for p in right_shown_first(row)]) if in_given_order else None,
        right_later=_mean([p for row in rows for p in right_shown_later(row)]) if in_given_order else None,
        among_verdicts=_mean([p for row in rows for p in left_out(row)]),
        together=_mean(together),
        together_interval=share_interval(np.array(together), clusters(rows)) if together else None,
        calibration_error=expected_error(reliability),
        reliability=reliability,
        categories=categories if any(categories) else {},
        failures=dict(Counter(f.reason for row in rows for one in row.votes for f in one.failures)),
        confidence=_mean_confidence(rows),
        cost=cost,
    )


def cells(standings: Sequence[Standing]) -> tuple[list[str], list[list[str]]]:
    """A head, and a row a measure with a column a judge; measures that no judge has are left out."""
    measures = [_measures(one) for one in standings]
    names = [name for name in measures[0] if any(one.get(name, "–") != "–" for one in measures)]
    head = ["", *(one.summary.judge for one in standings)]
    return head, [[name, *(one.get(name, "–") for one in measures)] for name in names]


def to_markdown(
    title: str, standings: Sequence[Standing], notes: Sequence[str] = (), curves: Curves = NO_CURVES
) -> str:
    """The judges' measures, below them accuracy by votes and what many gain over one, then the notes."""
    parts = [f"**{title}**", grid(*cells(standings))]
    if curves:
        gain = voting.gain_in_words(next(iter(curves.values())), standings[0].summary.n)
        parts += [voting.to_markdown(curves), gain]
    return "\n\n".join([*parts, *(f"Note: {note}" for note in notes)])


def to_json(
    title: str, standings: Sequence[Standing], notes: Sequence[str] = (), curves: Curves = NO_CURVES
) -> str:
    """The same with full precision, the calibration's bins and the reasons of failures."""
    whole: dict[str, Any] = {
        "title": title,
        "notes": list(notes),
        "judges": [asdict(one) for one in standings],
        "curves": {name: [asdict(point) for point in points] for name, points in curves.items()},
    }
    return json.dumps(whole, ensure_ascii=False, indent=1)


def _measures(one: Standing) -> dict[str, str]:
    summary = one.summary
    shares: dict[str, float | tuple[float, float] | None] = {
        "accuracy (micro)": summary.accuracy_mean,
        "95 % interval": summary.interval,
        "macro": one.macro,
        "given order": summary.accuracy if summary.accuracy_swapped is not None else None,
        "swapped order": summary.accuracy_swapped,
        "right in both orders": summary.accuracy_both_orders,
        "right one shown first": one.right_first,
        "right one shown later": one.right_later,
        "right among verdicts": one.among_verdicts,
        "both orders as one vote": one.together,
        "its 95 % interval": one.together_interval,
        "same choice in both": summary.order_consistency,
        "chose the first shown": summary.first_shown,
        "no verdict": summary.parse_failures,
        "ties": summary.ties,
        "calibration error": one.calibration_error,
        "mean confidence": one.confidence,
    }
    cost = one.cost
    return {
        "pairs": f"{summary.n}",
        "votes an order": f"{summary.votes}",
        **{name: _written(share) for name, share in shares.items()},
        **{f"{name} ({some.n})": _written(some.accuracy_mean) for name, some in one.categories.items()},
        "seconds a judgement": _number(cost.seconds if cost else None),
        "prompt tokens": _number(cost.prompt_tokens if cost else None),
        "completion tokens": _number(cost.completion_tokens if cost else None),
    }


def _written(share: float | tuple[float, float] | None) -> str:
    if share is None:
        return "–"
    if isinstance(share, tuple):
        return f"{100 * share[0]:.1f}–{100 * share[1]:.1f}"
    return f"{100 * share:.1f} %"


def _mean_confidence(rows: Sequence[Row]) -> float | None:
    judgements = [judgement for row in rows for one in row.votes for judgement in one.judgements]
    known = [judgement.confidence for judgement in judgements if judgement.confidence is not None]
    return _mean(known) if len(known) == len(judgements) else None


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
