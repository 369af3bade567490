"""A comparison of judges as sentences, tables, Markdown and JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace

from stablereward.evaluation.comparison import Comparison, Contrast
from stablereward.evaluation.tables import grid

MINUS = "\N{MINUS SIGN}"

EXPLAINED = (
    "The difference, its interval and its exact p are of accuracy over all orders compared. The counts, and "
    "the McNemar p of them, are of pairs that are right in every order; there a judge that sways with the "
    "order loses at equal accuracy."
)

Printed = tuple[Sequence[str], Sequence[Sequence[str]]]
"""A table's head and its rows, as they are shown."""


def headline(comparison: Comparison) -> str:
    """The two best judges and whether the interval of their difference leaves chance aside."""
    ranked = sorted(comparison.summaries.values(), key=lambda one: -one.accuracy_mean)
    two = {one.judge for one in ranked[:2]}
    [best] = [one for one in comparison.contrasts if {one.a, one.b} == two]
    gain, (low, high) = best.overall.measured.difference, best.overall.measured.interval
    a, b = best.a, best.b
    if high < 0:
        a, b, gain, low, high = b, a, -gain, -high, -low
    clear = low > 0
    said = (
        f"{a} is more accurate than {b}" if clear else f"No clear difference between {a} and {b} in accuracy"
    )
    if len(ranked) > 2:
        said = f"The best two of {len(ranked)}: {said}"
    return f"{said}: {_points(gain)} points (95 % interval {_range((low, high))})."


def shared_line(comparison: Comparison) -> str:
    """How many pairs all have, and how many more each has."""
    n = next(iter(comparison.summaries.values())).n
    more = [f"{name} has {count} more" for name, count in comparison.more.items() if count]
    return f"{n} pairs judged by all, matched by content; {', '.join(more) if more else 'none has others'}"


def versus(contrast: Contrast) -> str:
    """What a difference is of: "a − b"."""
    return f"{contrast.a} {MINUS} {contrast.b}"


def judges_table(comparison: Comparison) -> Printed:
    """A column a judge, a row a measure; measures that no judge has are left out."""
    columns = [_measures(comparison, name) for name in comparison.summaries]
    kept = [name for name in columns[0] if any(column[name] != "–" for column in columns)]
    return ("", *comparison.summaries), [(name, *(column[name] for column in columns)) for name in kept]


def contrasts_table(comparison: Comparison) -> Printed:
    """A column for each pair of judges, first minus second."""
    several = len(comparison.contrasts) > 1
    columns = []
    for one in comparison.contrasts:
        tally, measured = one.overall, one.overall.measured
        column = {
            "difference in points": _points(measured.difference),
            "its 95 % interval": _range(measured.interval),
            "its exact p": _p(measured.p_sign_flip),
            "only the first right": str(tally.only_a),
            "only the second right": str(tally.only_b),
            "both right": str(tally.both_right),
            "neither right": str(tally.neither),
            "exact McNemar p": _p(measured.p_mcnemar),
        }
        columns.append(column | ({"p after Holm": _p(one.p_holm)} if several else {}))
    head = ("", *(versus(one) for one in comparison.contrasts))
    return head, [(name, *(column[name] for column in columns)) for name in columns[0]]


def categories_table(contrast: Contrast) -> Printed:
    """A row a category; its p values are not corrected."""
    head = ("category", "pairs", "points", "95 % interval", "only first", "only second", "McNemar p")
    return head, [
        (
            name,
            str(one.measured.n),
            _points(one.measured.difference),
            _range(one.measured.interval),
            str(one.only_a),
            str(one.only_b),
            _p(one.measured.p_mcnemar),
        )
        for name, one in contrast.categories.items()
    ]


def to_markdown(comparison: Comparison) -> str:
    """All tables, readable as they are."""
    parts = [f"**{comparison.benchmark or 'Judges compared'}**", shared_line(comparison) + "."]
    parts += [
        headline(comparison),
        grid(*judges_table(comparison)),
        grid(*contrasts_table(comparison)),
        EXPLAINED,
    ]
    for one in comparison.contrasts:
        if one.categories:
            parts += [f"**{versus(one)}**", grid(*categories_table(one))]
    parts += [f"Note: {note}" for note in comparison.notes]
    return "\n\n".join(parts)


def to_json(comparison: Comparison) -> str:
    """The same with full precision, without the rows."""
    whole = asdict(replace(comparison, rows={}))
    del whole["rows"]
    return json.dumps({"headline": headline(comparison), **whole}, ensure_ascii=False, indent=1)


def _measures(comparison: Comparison, name: str) -> dict[str, str]:
    one = comparison.summaries[name]
    shares = {
        "right in both orders": one.accuracy_both_orders,
        "same choice in both": one.order_consistency,
        "chose the first shown": one.first_shown,
        "no verdict": one.parse_failures,
        "ties": one.ties,
        **{f"{c} ({some.n})": some.accuracy_mean for c, some in comparison.categories[name].items()},
    }
    low, high = one.interval
    return {
        "pairs": str(one.n),
        "votes an order": str(one.votes),
        "accuracy": _share(one.accuracy_mean),
        "95 % interval": f"{100 * low:.1f}–{100 * high:.1f}",
        **{measure: _share(share) for measure, share in shares.items()},
    }


def _share(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}".replace("-", MINUS)


def _range(interval: tuple[float, float]) -> str:
    return f"{_points(interval[0])} to {_points(interval[1])}"


def _p(p: float) -> str:
    return f"{p:.2g}"
