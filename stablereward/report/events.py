"""What happened besides updates: told in words, and as marks at its update."""

from collections import Counter
from collections.abc import Mapping
from string import Formatter
from typing import Any

from stablereward.report.axes import KINDS, Mark
from stablereward.report.markup import Html, el, join
from stablereward.report.quantities import is_number, number, plural
from stablereward.report.run import Run

MAX_EVENTS = 100
MAX_PLACES = 8
PLACE = frozenset({"event", "stage", "update"})
SAID = {
    "no_signal": ("bad", "The rewards have not varied for {collections} collections: nothing to learn from"),
    "stopped": ("bad", "The run stopped: {reason}"),
    "non_finite": ("bad", "Not a finite number: {tensor}; {action}"),
    "collapse": ("bad", "The rule “{rule}” found {value}, beyond its bound {bound}"),
    "rollback": (
        "info",
        "Weights of update {to_update} taken again; learning rate {learning_rate_factor} of the schedule’s",
    ),
    "dropped_sample": ("warn", "A sample was left out of the update"),
    "exploding_gradient": ("warn", "Update skipped: gradient norm {value}, beyond the bound {bound}"),
    "checkpoint_unreadable": ("warn", "{reason}; an older checkpoint was taken"),
    "metrics_missing": ("warn", "{reason}: the file was damaged before the run was resumed"),
}
"""For each event its kind and its sentence; fields that the sentence does not name follow it."""


def marks_of(run: Run) -> dict[str, list[Mark]]:
    """The events that have an update, by stage; `x` is the update's number in the stage."""
    marks: dict[str, list[Mark]] = {}
    for event in _told(run):
        if is_number(event.get("update")):
            name = str(event["event"])
            text = f"update {event['update']}: {_plain(name)}. {_words(event)}"
            mark = Mark(event["update"], _kind(name), _plain(name), text[:300])
            marks.setdefault(str(event.get("stage", "")), []).append(mark)
    return marks


def events_section(run: Run) -> Html | None:
    """A list of what happened, the serious first kept, and what could not be read.

    What happened several times in the same words is one row with all its updates.
    """
    events = _told(run)
    places: dict[tuple[str, str, str], list[str]] = {}
    for event in events:
        key = (str(event["event"]), str(event.get("stage", "")), _words(event))
        places.setdefault(key, []).append(str(event.get("update", ""))[:20])
    told = list(places.items())
    most_serious = sorted(range(len(told)), key=lambda i: -KINDS.index(_kind(told[i][0][0])))[:MAX_EVENTS]
    rows = [_row(*told[i]) for i in sorted(most_serious)]
    rows += [
        el("tr", el("th", "left out", scope="row"), el("td"), el("td", notice))
        for notice in run.notices[:MAX_EVENTS]
    ]
    if not rows:
        return None
    hidden = len(told) + len(run.notices) - len(rows)
    note = el("p", f"and {plural(hidden, 'more event')}", cls="muted") if hidden else None
    counts = Counter(str(event["event"]) for event in events)
    tags = (
        el("span", f"{_plain(name)} × {count}", cls=f"tag {_kind(name)}")
        for name, count in counts.most_common(12)
    )
    total = el("p", *tags, cls="tags") if len(events) > len(counts) else None
    return join([total, el("table", el("tbody", *rows), cls="events"), note])


def _row(key: tuple[str, str, str], updates: list[str]) -> Html:
    name, stage, words = key
    more = len(updates) - MAX_PLACES
    numbers = ", ".join(filter(None, updates[:MAX_PLACES])) + (f" and {more} more" if more > 0 else "")
    return el(
        "tr",
        el("th", el("span", _plain(name), cls=f"tag {_kind(name)}"), scope="row"),
        el("td", f"{stage[:40]} {numbers}".strip(), cls="muted"),
        el("td", words),
    )


def _told(run: Run) -> list[dict[str, Any]]:
    return [event for event in run.events if event["event"] != "stage"]


def _kind(name: str) -> str:
    return SAID.get(name, ("warn", ""))[0]


def _plain(name: str) -> str:
    return name.replace("_", " ")[:80]


def _words(event: Mapping[str, Any]) -> str:
    """The event's sentence, then the fields that it leaves out."""
    _, sentence = SAID.get(str(event["event"]), ("", ""))
    used = {name for _, name, _, _ in Formatter().parse(sentence) if name}
    if not used <= event.keys():
        sentence, used = "", set()
    shown = {name: _value(event[name]) for name in used}
    rest = [_detail(key, value) for key, value in event.items() if key not in PLACE | used]
    return ": ".join(filter(None, [sentence.format_map(shown), ", ".join(rest)]))[:500]


def _detail(key: str, value: object) -> str:
    if isinstance(value, dict):
        return f"{key}: " + ", ".join(_detail(str(name), one) for name, one in value.items())
    return f"{key} {_value(value)}"


def _value(value: object) -> str:
    return number(value) if is_number(value) else str(value)
