"""A run folder read for display: whatever is there, nothing assumed, sizes bounded."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from stablereward.errors import DataError
from stablereward.report.files import document, objects, reason, said, text
from stablereward.report.judged import Judged, read_judged
from stablereward.report.quantities import is_number, plural
from stablereward.report.recorded import Courses, read_recorded

MAX_CONFIG = 100_000
MAX_EXAMPLES = 2_000
MAX_STRANGE = 20
MAX_UPDATES = 24
NAMES = ("stage", "learner")
"""What an update has beside numbers."""
GROUPS_PER_UPDATE, PICTURES_PER_UPDATE = 2, 4
"""Pictures take less room than texts."""


class Record(BaseModel):
    """One row of a file; unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Result(Record):
    """One judge measured. Shares are in 0..1; `interval` is the 95 % interval of the mean of both orders.

    `parse_failures` is a share where it is a float and a count where it is an int. `role` is "trained",
    "start", "control" or "other"; without it the role follows from the judge's name.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

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


class Origin(Record):
    """Where a run, or a part of it that was resumed, was computed; an entry of `machine.json`."""

    recipe: str = ""
    system: str = ""
    cpu: str = ""
    cores: int | None = None
    threads: int | None = None
    memory_gib: float | None = None
    gpus: list[str] = []
    versions: dict[str, str] = {}


class Measured(Record):
    """A figure of the run: see `runs.figures.Figure`."""

    value: float
    about: str = ""
    low: float | None = None
    high: float | None = None
    n: int | None = None


class Written(Record):
    """One completion and what it earned. `clipped` has, for each kind of clip, indices into `tokens`.

    `images` are paths relative to the run folder, where what was made is pictures; `steps` are scores of
    steps, null where a step is not judged.
    """

    text: str = ""
    images: list[str] = []
    steps: list[float | None] = []
    reward: float | None = None
    parts: dict[str, float | None] = {}
    failure: str | None = None
    advantage: float | None = None
    num_tokens: int | None = None
    tokens: list[str] = []
    clipped: dict[str, list[int]] = {}


class Picture(Record):
    """A picture within a response; `image` is a path relative to the run folder."""

    image: str


Shown = str | list[str | Picture]
"""A response: a text, or texts and pictures in order."""


class Group(Record):
    """One question in an update and its completions. `images` are paths relative to the run folder."""

    update: int
    question: str = ""
    responses: list[Shown] = []
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
    responses: list[Shown] = []
    images: list[str] = []
    best: int | None = None
    category: str = ""
    judgements: list[Opinion] = []
    vote: Tally | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run folder holds; a missing piece is empty.

    `stages` are in the order they began; `judged` are every judge's votes by name; `notices` say what was
    left out; `label` is a name in place of the folder's.
    """

    folder: Path
    label: str = ""
    config: str = ""
    stages: list[str] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    figures: dict[str, Measured] = field(default_factory=dict)
    categories: dict[str, dict[str, float]] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    recorded: Courses = field(default_factory=dict)
    judged: Judged = field(default_factory=dict)
    origins: list[Origin] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The label, or the folder's name."""
        return self.label or self.folder.resolve().name


RecordT = TypeVar("RecordT", bound=Record)


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
    rows = _logged(folder / "metrics.jsonl", notices)
    timings = _logged(folder / "timings.jsonl", notices)
    ended = [row for row in timings if "event" in row]
    rows = [*_with_timings(rows, timings), *ended]
    config = text(folder / "config.yaml", notices)
    if len(config) > MAX_CONFIG:
        notices.append(f"config.yaml: all after its first {MAX_CONFIG} characters left out")
    results: list[Result] = document(list[Result], folder / "results.json", notices) or []
    run = Run(
        folder=folder,
        config=config[:MAX_CONFIG],
        stages=list(dict.fromkeys(row["stage"] for row in (*ended, *rows) if "stage" in row)),
        updates=[row for row in rows if "event" not in row],
        events=[row for row in _placed(rows) if "event" in row],
        results=results,
        figures=document(dict[str, Measured], folder / "figures.json", notices) or {},
        categories=document(dict[str, dict[str, float]], folder / "categories.json", notices) or {},
        examples=_records(Example, folder / "examples.jsonl", notices),
        groups=_spread_groups(_rollouts(folder), notices),
        recorded=read_recorded(folder / "distributions.jsonl", notices),
        judged=read_judged(folder / "judgements", [(one.judge, one.votes) for one in results], notices),
        origins=document(list[Origin], folder / "machine.json", notices) or [],
        notices=notices,
    )
    notices += _missing(run, present)
    return run


def _logged(path: Path, notices: list[str]) -> list[dict[str, Any]]:
    """The updates and events of a log; the stage of each is text, an update has a number."""
    rows = []
    strange: Counter[str] = Counter()
    for line, row in objects(path, notices):
        placed = {**row, "stage": str(row["stage"])} if "stage" in row else row
        if "event" in row:
            rows.append(placed)
        elif _is_update(row.get("update")):
            rows.append(placed)
            strange.update(key for key, value in row.items() if key not in NAMES and not is_number(value))
        elif row:
            notices.append(f"{said(path)}:{line} left out: neither an event nor an update with its number")
    many = len(strange) > MAX_STRANGE
    notices += [
        f"{path.name}: {plural(count, 'value')} of {name} left out: no finite number"
        for name, count in strange.most_common(MAX_STRANGE)
    ] + ([f"{path.name}: values of {len(strange) - MAX_STRANGE} more names left out"] if many else [])
    return rows


def _is_update(number: object) -> bool:
    return isinstance(number, int) and is_number(number)


def _with_timings(rows: list[dict[str, Any]], timings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of updates with what the clock said of them, which is kept in a file of its own."""
    clock = {(row.get("stage"), row["update"]): row for row in timings if "event" not in row}
    return [
        row if "event" in row else {**clock.get((row.get("stage"), row["update"]), {}), **row} for row in rows
    ]


def _missing(run: Run, present: set[str]) -> list[str]:
    """The files that a run of this kind has and this folder lacks: what is there tells that they were."""
    sampled = any("reward/mean" in row for row in run.updates)
    recorded = any("advantages/std" in row for row in run.updates)
    if not _rollouts(run.folder):
        present = present - {"rollouts"}
    expected = {
        "config.yaml": True,
        "metrics.jsonl": {"timings.jsonl", "distributions.jsonl", "rollouts"} & present,
        "timings.jsonl": run.updates,
        "distributions.jsonl": recorded,
        "rollouts": sampled,
        "results.json": {"categories.json", "examples.jsonl", "judgements"} & present,
        "categories.json": run.results,
        "examples.jsonl": any(one.votes > 1 for one in run.results),
    }
    return [f"{name} is not in the folder" for name, due in expected.items() if due and name not in present]


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
            notices.append(f"{said(path)}:{line} left out: {reason(error)}")
        if len(records) == MAX_EXAMPLES:
            notices.append(f"{said(path)}: all after its first {MAX_EXAMPLES} rows left out")
            break
    return records


def _rollouts(folder: Path) -> list[Path]:
    """The files of rollouts, without those that a killed run left half-written."""
    return sorted(path for path in (folder / "rollouts").glob("*.jsonl") if not path.name.startswith("."))


def _spread_groups(paths: list[Path], notices: list[str]) -> list[Group]:
    """Groups of updates spread evenly over the run, the first and the last update among them.

    Of an update, groups with a failure or a clipped token come first.
    """
    places: dict[int, list[tuple[bool, Path, int]]] = {}
    count = GROUPS_PER_UPDATE
    for path in paths:
        for line, row in objects(path, notices):
            if _is_update(row.get("update")):
                places.setdefault(row["update"], []).append((not _tells(row), path, line))
                count = PICTURES_PER_UPDATE if _made_pictures(row) else count
            elif row:
                notices.append(f"{said(path)}:{line} left out: its update has no number")
    chosen = set(spread(sorted(places), MAX_UPDATES))
    wanted = {place[1:] for update in chosen for place in sorted(places[update])[:count]}
    groups: list[Group] = []
    for path in paths:
        for line, row in objects(path, []):
            if (path, line) not in wanted:
                continue
            try:
                groups.append(Group.model_validate(row))
            except ValidationError as error:
                notices.append(f"{said(path)}:{line} left out: {reason(error)}")
    return sorted(groups, key=lambda group: group.update)


def _tells(row: dict[str, Any]) -> bool:
    """Whether a completion of the group failed or has clipped tokens."""
    return any(one.get("failure") or one.get("clipped") for one in _written(row))


def _made_pictures(row: dict[str, Any]) -> bool:
    """Whether what was made is pictures without a text."""
    return any(one.get("images") and not one.get("text") for one in _written(row))


def _written(row: dict[str, Any]) -> list[dict[str, Any]]:
    completions = row.get("completions")
    return [one for one in completions if isinstance(one, dict)] if isinstance(completions, list) else []


def spread(items: list[int], count: int) -> list[int]:
    """At most `count` of the items at even distances, the first and the last among them."""
    if len(items) <= count:
        return items
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]
