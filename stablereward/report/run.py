"""A run folder read for display: whatever is there, nothing assumed, sizes bounded."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from stablereward.errors import DataError
from stablereward.report.files import document, objects, reason, text
from stablereward.report.quantities import is_number as is_number
from stablereward.report.recorded import Courses, read_recorded

MAX_CONFIG = 100_000
MAX_EXAMPLES = 2_000
MAX_UPDATES = 24
GROUPS_PER_UPDATE = 2


class Record(BaseModel):
    """One row of a file; unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Result(Record):
    """One judge measured. Shares are in 0..1; `interval` is the 95 % interval of the mean of both orders.

    `parse_failures` is a share where it is a float and a count where it is an int. `role` is "trained",
    "start", "control" or "other"; without it the role follows from the judge's name.
    """

    judge: str
    votes: int = 1
    n: int | None = None
    accuracy: float | None = None
    accuracy_swapped: float | None = None
    accuracy_both_orders: float | None = None
    order_consistency: float | None = None
    parse_failures: int | float | None = None
    interval: tuple[float, float] | None = None
    role: str = ""


class Written(Record):
    """One completion and what it earned. `clipped` has, for each kind of clip, indices into `tokens`."""

    text: str = ""
    reward: float | None = None
    parts: dict[str, float | None] = {}
    failure: str | None = None
    advantage: float | None = None
    num_tokens: int | None = None
    tokens: list[str] = []
    clipped: dict[str, list[int]] = {}


class Group(Record):
    """One question in an update and its completions. `images` are paths relative to the run folder."""

    update: int
    question: str = ""
    responses: list[str] = []
    images: list[str] = []
    best: int | None = None
    completions: list[Written] = []


class Opinion(Record):
    """One judgement; `choice` and `order` are indices into the example's responses."""

    judge: str = "judge"
    choice: int | None = None
    text: str = ""
    order: list[int] = [0, 1]
    failure: str | None = None


class Tally(Record):
    """Several judgements taken together."""

    choice: int | None = None
    probabilities: list[float] = []
    votes: int = 1


class Example(Record):
    """One held-out question with its judgements."""

    question: str = ""
    responses: list[str] = []
    images: list[str] = []
    best: int | None = None
    category: str = ""
    judgements: list[Opinion] = []
    vote: Tally | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run folder holds; a missing piece is empty.

    `stages` are in the order they began; `notices` say what could not be read; `label` is a name in place
    of the folder's.
    """

    folder: Path
    label: str = ""
    config: str = ""
    stages: list[str] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    categories: dict[str, dict[str, float]] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    recorded: Courses = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The label, or the folder's name."""
        return self.label or self.folder.resolve().name


RecordT = TypeVar("RecordT", bound=Record)


def _with_timings(rows: list[dict[str, Any]], timings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of updates with what the clock said of them, which is kept in a file of its own."""
    clock = {(row.get("stage"), row.get("update")): row for row in timings if "event" not in row}
    return [
        row if "event" in row else {**clock.get((row.get("stage"), row.get("update")), {}), **row}
        for row in rows
    ]


def read_run(folder: Path) -> Run:
    """Read a run folder. A piece that cannot be read becomes a notice.

    Raises DataError where the folder does not exist, cannot be read or holds no piece of a run.
    """
    try:
        present = {entry.name for entry in folder.iterdir()}
    except OSError as error:
        raise DataError(f"{folder}: not a run folder that can be read ({error.strerror})") from error
    if not present & {"config.yaml", "metrics.jsonl", "results.json", "examples.jsonl", "rollouts"}:
        raise DataError(f"{folder}: holds no run; expected config.yaml, metrics.jsonl or results.json in it")
    notices: list[str] = []
    rows = [row for _, row in objects(folder / "metrics.jsonl", notices)]
    timings = [row for _, row in objects(folder / "timings.jsonl", notices)]
    ended = [row for row in timings if "event" in row]
    rows = [*_with_timings(rows, timings), *ended]
    examples = _records(Example, folder / "examples.jsonl", notices)
    return Run(
        folder=folder,
        config=text(folder / "config.yaml", notices)[:MAX_CONFIG],
        stages=list(dict.fromkeys(str(row["stage"]) for row in (*ended, *rows) if "stage" in row)),
        updates=[row for row in rows if isinstance(row.get("update"), int) and "event" not in row],
        events=[row for row in _placed(rows) if "event" in row],
        results=document(list[Result], folder / "results.json", notices) or [],
        categories=document(dict[str, dict[str, float]], folder / "categories.json", notices) or {},
        examples=examples,
        groups=_spread_groups(sorted((folder / "rollouts").glob("*.jsonl")), notices),
        recorded=read_recorded(folder / "distributions.jsonl", notices),
        notices=notices,
    )


def _placed(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows; an event that does not say its stage or update gets those of the update before it."""
    before: dict[str, Any] = {}
    for row in rows:
        if "event" not in row:
            before = {key: row[key] for key in ("stage", "update") if key in row}
        yield row if row.get("event", "stage") == "stage" else {**before, **row}


def _records(kind: type[RecordT], path: Path, notices: list[str]) -> list[RecordT]:
    records: list[RecordT] = []
    for line, row in objects(path, notices):
        try:
            records.append(kind.model_validate(row))
        except ValidationError as error:
            notices.append(f"{path.name}:{line} left out: {reason(error)}")
        if len(records) == MAX_EXAMPLES:
            break
    return records


def _spread_groups(paths: list[Path], notices: list[str]) -> list[Group]:
    """Groups of updates spread evenly over the run, the first and the last update among them.

    Of an update, groups with a failure or a clipped token come first.
    """
    places: dict[int, list[tuple[bool, Path, int]]] = {}
    for path in paths:
        for line, row in objects(path, notices):
            update = row.get("update")
            if isinstance(update, int):
                places.setdefault(update, []).append((not _tells(row), path, line))
    chosen = set(spread(sorted(places), MAX_UPDATES))
    wanted = {place[1:] for update in chosen for place in sorted(places[update])[:GROUPS_PER_UPDATE]}
    groups: list[Group] = []
    for path in paths:
        for line, row in objects(path, []):
            if (path, line) not in wanted:
                continue
            try:
                groups.append(Group.model_validate(row))
            except ValidationError as error:
                notices.append(f"{path.name}:{line} left out: {reason(error)}")
    return sorted(groups, key=lambda group: group.update)


def _tells(row: dict[str, Any]) -> bool:
    """Whether a completion of the group failed or has clipped tokens."""
    completions = row.get("completions")
    written = completions if isinstance(completions, list) else []
    return any(isinstance(one, dict) and (one.get("failure") or one.get("clipped")) for one in written)


def spread(items: list[int], count: int) -> list[int]:
    """At most `count` of the items at even distances, the first and the last among them."""
    if len(items) <= count:
        return items
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]
