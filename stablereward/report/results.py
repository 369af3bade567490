"""How good the judge is: the verdict in a sentence, the table of judges, accuracy by category."""

import re

from stablereward.report.markup import Html, el, join
from stablereward.report.quantities import SPACE, TOGETHER, is_number, percent, plural, points
from stablereward.report.run import Result, Run

CHANCE = 0.5
HELD_OUT = el("span", "held-out", cls="whole")
"""Of the headline: a narrow page breaks before it and not inside."""
WORDS = {
    "control": "control controls always random chance coin constant longer longest shorter shortest "
    "first second blind oracle hidden without no wrong shuffled blank length",
    "start": "cold start sft",
    "trained": "trained rl reinforce stable r1",
}
"""Words in a judge's name that tell its role, where the row does not state it."""


def role(result: Result) -> str:
    """ "trained", "start" (where the training began), "control" or empty."""
    if result.role:
        return result.role
    words = set(re.split(r"[^a-z0-9]+", result.judge.lower()))
    return next((name for name, known in WORDS.items() if words & set(known.split())), "")


def accuracy(result: Result) -> float | None:
    """The mean accuracy of both orders; the given order where only that was measured."""
    known = [one for one in (result.accuracy, result.accuracy_swapped) if is_number(one)]
    return sum(known) / len(known) if known else None


def headline(results: list[Result]) -> tuple[Result, Result | None] | None:
    """The row that the verdict is about and the one it is compared with, at equal votes where possible."""
    measured = sorted((one for one in results if accuracy(one) is not None), key=lambda one: one.votes)
    trained = [one for one in measured if role(one) == "trained"]
    if not trained:
        others = [one for one in measured if role(one) != "control"]
        trained = sorted(others, key=lambda one: accuracy(one) or 0.0)[-1:]
    if not trained:
        return None
    starts = [one for one in measured if role(one) == "start" and one is not trained[0]]
    starts.sort(key=lambda one: one.votes != trained[0].votes)
    return trained[0], (starts[0] if starts else None)


def verdict(results: list[Result]) -> Html | None:
    """The outcome in one sentence, with what qualifies it."""
    found = headline(results)
    if found is None:
        return None
    best, start = found
    share = accuracy(best) or 0.0
    parts: list[Html | str] = [
        f"{_capital(best.judge)}: ",
        el("b", percent(share)),
        " ",
        HELD_OUT,
        " accuracy",
    ]
    if start is not None:
        gain = share - (accuracy(start) or 0.0)
        colour = None if _overlap(best, start) else "up" if gain > 0 else "down"
        name = "its cold start" if start.judge in ("cold start", "cold_start") else start.judge
        parts += [", ", el("b", f"{points(gain)}{SPACE}points", cls=colour), f" over {name}"]
    return el("p", *parts, ".", cls="verdict")


def qualification(results: list[Result]) -> Html | None:
    """What a careful reader asks next: sample size, interval, noise, and the best control."""
    found = headline(results)
    if found is None:
        return None
    best, start = found
    facts: list[str] = []
    if best.n is not None:
        orders = "one order" if best.accuracy_swapped is None else "both orders"
        facts.append(f"measured on {plural(best.n, 'pair')} in {orders}")
    if best.interval is not None:
        facts.append(f"95{SPACE}% interval {span(best.interval)}")
    if start is not None and _overlap(best, start):
        facts.append(f"this interval overlaps that of “{start.judge}”")
    controls = [one for one in results if role(one) == "control" and accuracy(one) is not None]
    if controls:
        top = max(controls, key=lambda one: accuracy(one) or 0.0)
        clear = best.interval is None or best.interval[0] > (accuracy(top) or 0.0)
        remark = "" if clear else ", which is not clearly less"
        facts.append(f"the best control, “{top.judge}”, reaches {percent(accuracy(top))}{remark}")
    text = "; ".join(facts)
    return el("p", f"{_capital(text)}.", cls="muted") if facts else None


def _overlap(a: Result, b: Result) -> bool:
    """Whether both intervals are known and share values."""
    if a.interval is None or b.interval is None:
        return False
    return a.interval[0] <= b.interval[1] and b.interval[0] <= a.interval[1]


def results_section(run: Run) -> Html | None:
    """The table of judges, controls below, and accuracy by category."""
    if not run.results:
        return None
    judges = [one for one in run.results if role(one) != "control"]
    controls = [one for one in run.results if role(one) == "control"]
    rows = [_row(one) for one in judges]
    if controls:
        rows.append(el("tr", el("th", "Controls: what a judge has to beat", colspan=8), cls="divider"))
        rows += [_row(one) for one in controls]
    titles = (
        "Judge",
        "Accuracy, both orders",
        "",
        "Given order",
        "Swapped",
        "Both right",
        "Same choice",
        "Unreadable",
    )
    table = el(
        "table",
        el("thead", el("tr", *(el("th", title) for title in titles))),
        el("tbody", *rows),
        cls="results",
    )
    note = (
        "Each pair is judged twice, with its responses in either order. Accuracy is the mean of the two; the "
        "whisker is its 95 % interval and the dashed line is chance. “Both right” counts a pair once, "
        "when neither order misleads the judge; “same choice” is how often both orders agree."
    )
    return join(
        [el("div", table, cls="scroll"), el("p", note, cls="muted note"), _categories(run.categories)]
    )


def _row(result: Result) -> Html:
    share = accuracy(result)
    votes = el("span", f"{result.votes} votes", cls="tag") if result.votes > 1 else None
    sample = el("small", f"n = {result.n}") if result.n is not None else None
    figures = (
        ("Given order", percent(result.accuracy)),
        ("Swapped", percent(result.accuracy_swapped)),
        ("Both right", percent(result.accuracy_both_orders)),
        ("Same choice", percent(result.order_consistency)),
        ("Unreadable", _failures(result)),
    )
    return el(
        "tr",
        el("th", result.judge, " ", votes, sample, scope="row"),
        el("td", bar(share, result.interval) if share is not None else None, cls="bar-cell"),
        el("td", el("b", percent(share)), cls="main"),
        *(el("td", text, data_label=label) for label, text in figures),
        cls=role(result) or None,
    )


def bar(share: float, interval: tuple[float, float] | None) -> Html:
    """A share as a bar, with its interval as a whisker and a line at chance."""
    whisker = None
    if interval is not None:
        low, high = (min(max(bound, 0.0), 1.0) for bound in interval)
        whisker = el("i", cls="whisker", style=f"left:{100 * low:.1f}%;width:{100 * (high - low):.1f}%")
    title = f"{percent(share)}, interval {span(interval)}" if interval else percent(share)
    fill = el("i", cls="fill", style=f"width:{100 * min(max(share, 0.0), 1.0):.1f}%")
    chance = el("i", cls="chance", style=f"left:{100 * CHANCE:.0f}%")
    return el("div", fill, chance, whisker, cls="bar", title=title)


def span(interval: tuple[float, float]) -> str:
    """An interval in per cent."""
    return f"{100 * interval[0]:.1f}–{TOGETHER}{percent(interval[1])}"


def _failures(result: Result) -> str:
    failures = result.parse_failures
    if not is_number(failures):
        return "–"
    return percent(failures) if isinstance(failures, float) and failures <= 1 else f"{failures:g}"


def _categories(categories: dict[str, dict[str, float]]) -> Html | None:
    names = list(dict.fromkeys(name for row in categories.values() for name in row))
    if not names:
        return None
    head = el("tr", el("th", "Accuracy by category"), *(el("th", name) for name in names))
    rows = [
        el("tr", el("th", judge, scope="row"), *(_cell(row.get(name)) for name in names))
        for judge, row in categories.items()
    ]
    return el("div", el("table", el("thead", head), el("tbody", *rows), cls="categories"), cls="scroll")


def _cell(share: float | None) -> Html:
    strength = 0.0 if share is None else min(max((share - CHANCE) / (1 - CHANCE), 0.0), 1.0)
    return el("td", percent(share), style=f"--strength:{45 * strength:.0f}%")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
