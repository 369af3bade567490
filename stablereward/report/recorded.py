"""The recorder's file `distributions.jsonl`: how each quantity was spread at each update, in bounded size."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stablereward.report.files import objects
from stablereward.report.quantities import MAX_VALUE, is_number, plural

NUM_QUANTILES = 9
"""min, 1 %, 5 %, 25 %, 50 %, 75 %, 95 %, 99 %, max."""
MEDIAN = 4
MAX_POINTS = 120
MAX_COURSES = 60


@dataclass(frozen=True, slots=True)
class Spread:
    """The values of a quantity in `updates` updates, the last of them `update`; quantiles ascend."""

    update: int
    count: int
    mean: float
    quantiles: tuple[float, ...]
    updates: int = 1


@dataclass(slots=True)
class Course:
    """Spreads of one quantity over a run: at most MAX_POINTS, each of which stands for `stride` updates."""

    points: list[Spread] = field(default_factory=list)
    stride: int = 1
    rest: Spread | None = None

    def add(self, spread: Spread) -> None:
        """Takes the next update. One that was seen already (the run went back) replaces what followed it."""
        if self.rest is not None and self.rest.update >= spread.update:
            self.rest = None
        while self.points and self.points[-1].update >= spread.update:
            self.points.pop()
        self.rest = spread if self.rest is None else merged(self.rest, spread)
        if self.rest.updates >= self.stride:
            self.points.append(self.rest)
            self.rest = None
        if len(self.points) == MAX_POINTS:
            pairs = zip(self.points[::2], self.points[1::2], strict=True)
            self.points = [merged(first, second) for first, second in pairs]
            self.stride *= 2

    def spreads(self) -> list[Spread]:
        """All points, an unfinished one at the end among them."""
        return self.points + ([self.rest] if self.rest is not None else [])


Courses = dict[tuple[str, str], Course]
"""By stage and quantity, in the order of the file."""


def merged(first: Spread, second: Spread) -> Spread:
    """Two as one: the outermost of each quantile, so no spike is lost; median and mean by count."""
    count = first.count + second.count
    share = first.count / count if count else 0.5
    quantiles = [
        min(a, b) if i < MEDIAN else max(a, b)
        for i, (a, b) in enumerate(zip(first.quantiles, second.quantiles, strict=True))
    ]
    middle = first.quantiles[MEDIAN] * share + second.quantiles[MEDIAN] * (1 - share)
    quantiles[MEDIAN] = middle
    mean = first.mean * share + second.mean * (1 - share)
    return Spread(second.update, count, mean, tuple(quantiles), first.updates + second.updates)


def read_recorded(path: Path, notices: list[str]) -> Courses:
    """The courses in the file; none where it is absent. What is not finite is left out and counted."""
    courses: Courses = {}
    left_out: Counter[str] = Counter()
    not_finite: Counter[str] = Counter()
    too_many = False
    strange = 0
    for _, row in objects(path, notices):
        update, quantities = row.get("update"), row.get("quantities")
        if not isinstance(update, int) or abs(update) > MAX_VALUE or not isinstance(quantities, dict):
            strange += 1
            continue
        for name, found in quantities.items():
            key = (str(row.get("stage", "")), str(name))
            if not isinstance(found, dict):
                left_out[key[1]] += 1
                continue
            not_finite[key[1]] += found["not_finite"] if isinstance(found.get("not_finite"), int) else 0
            if found.get("count") == 0:
                continue
            if key not in courses and len(courses) == MAX_COURSES:
                too_many = True
                continue
            spread = _spread(update, found)
            if spread is None:
                left_out[key[1]] += 1
            else:
                courses.setdefault(key, Course()).add(spread)
    if strange:
        notices.append(f"{path.name}: {plural(strange, 'line')} left out: no record of an update")
    if too_many:
        notices.append(f"{path.name}: all after its first {MAX_COURSES} quantities left out")
    notices += [f"{path.name}: {name} has no finite quantiles in {n} lines" for name, n in left_out.items()]
    notices += [f"{path.name}: {n} values of {name} are not finite" for name, n in not_finite.items() if n]
    return courses


def _spread(update: int, found: dict[str, Any]) -> Spread | None:
    if not isinstance(found.get("quantiles"), list):
        return None
    quantiles, mean, count = found["quantiles"], found.get("mean"), found.get("count")
    if len(quantiles) != NUM_QUANTILES or not all(map(is_number, quantiles)):
        return None
    many = count if isinstance(count, int) and count > 0 else 1
    return Spread(update, many, mean if is_number(mean) else quantiles[MEDIAN], tuple(sorted(quantiles)))
