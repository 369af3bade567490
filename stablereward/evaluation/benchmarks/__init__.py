"""Benchmarks, one a file: their data, their scoring rules and their category maps.

A benchmark is the constant `BENCHMARK` of a module of this folder and is found by the module's name.
"""

import hashlib
import json
import pkgutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from stablereward.data.prompts import transcript
from stablereward.data.responses import response_keys
from stablereward.errors import ConfigError, DataError, did_you_mean
from stablereward.evaluation.records import Judged, is_own
from stablereward.evaluation.rules import stablereward
from stablereward.evaluation.tables import Figure, Table
from stablereward.types import Preference, Row

R = TypeVar("R", Row, Judged)
N = TypeVar("N")

_NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Rule(Generic[R]):
    """From records to figures. `about` says what order, votes, unread verdicts and ties are worth."""

    about: str
    figures: Callable[[Sequence[R]], tuple[Figure, ...]]


STABLEREWARD: Rule[Row] = Rule("every order shown counts; unread and tied votes are not right", stablereward)
"""This package's rule, for every benchmark whose label is one response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryMap:
    """A way to sort the records into categories.

    `category(id, stored)`  the category of a record with that id and stored category
    `sizes`                 records per category where known; they add up to the overall score's denominator
    `apart`                 sizes of published shares that are no part of the overall score
    """

    about: str
    category: Callable[[str, str], str] = lambda id, stored: stored
    sizes: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    apart: Mapping[str, int] = field(default_factory=lambda: _NOTHING)


class Loader(Protocol):
    """Reads the benchmark's own files as preferences with a category."""

    def __call__(
        self, path: Path, *, images_root: Path | None = None, require_images: bool = True
    ) -> Iterable[Preference]:
        """As `data.preferences.read_preferences`."""
        ...


@dataclass(frozen=True, kw_only=True)
class Benchmark(Generic[R]):
    """`rules` and `maps` by name, the first the default.

    `data`      what the benchmark is, where its files are found and what they are called
    `load`      its pairs; None where there is nothing that a judge could get right or wrong
    `read`      a file of judgements, with the benchmark's own where it has no labels → records, notes
    `releases`  content hashes (`fingerprint`) of the releases known, with their names
    `ids_repeat`  whether items may share an id
    """

    name: str
    data: str
    rules: Mapping[str, Rule[R]]
    maps: Mapping[str, CategoryMap]
    read: Callable[[Path, Path | None], tuple[list[R], tuple[str, ...]]]
    load: Loader | None = None
    releases: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    ids_repeat: bool = False

    def score(
        self, path: Path, *, rule: str | None = None, map: str | None = None, data: Path | None = None
    ) -> Table:
        """The table of a file of judgements under a rule and a category map.

        Without names the first count; of maps that sort alike, that of the release whose sizes fit.
        Raises `ConfigError` for an unknown rule or map and `DataError` for a file that cannot be read.
        """
        rule_name, used_rule = named("rule", rule, self.rules, self.name)
        map_name, used_map = named("category map", map, self.maps, self.name)
        stored, notes = self.read(path, data)
        if map is None and stored:
            map_name, used_map = self._fitting(stored)
        if not stored:
            raise DataError(f"{path}: holds no judgements")
        if not is_own(path) and not self.ids_repeat:
            notes += _repeated(stored)
        records = [replace(r, category=used_map.category(r.id, r.category)) for r in stored]
        return Table(
            benchmark=self.name,
            source=str(path),
            rule=rule_name,
            about_rule=used_rule.about,
            category_map=map_name,
            about_map=used_map.about,
            figures=used_rule.figures(records),
            notes=notes + size_notes(_sizes(records), used_map),
        )

    def _fitting(self, stored: Sequence[R]) -> tuple[str, CategoryMap]:
        """The first map, or another one that sorts in the same way and has the sizes of these records."""
        first, default = next(iter(self.maps.items()))
        counts = _sizes([replace(r, category=default.category(r.id, r.category)) for r in stored])
        for name, used in self.maps.items():
            if used.category is default.category and not size_notes(counts, used):
                return name, used
        return first, default

    def problems(self, preferences: Sequence[Preference], *, map: str | None = None) -> tuple[str, ...]:
        """How loaded data differ from the benchmark as known here, in size or content; empty where not."""
        _, used = named("category map", map, self.maps, self.name)
        counts = Counter(used.category(p.id, p.category) for p in preferences)
        found = size_notes(counts, used)
        if not found and self.releases and fingerprint(preferences) not in self.releases:
            return (f"the content differs from the release known here ({', '.join(self.releases.values())})",)
        return found


AnyBenchmark = Benchmark[Row] | Benchmark[Judged]


def names() -> tuple[str, ...]:
    """The module names of all benchmarks, sorted."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def find(name: str) -> AnyBenchmark:
    """The benchmark of that name, written as its module or as its authors do ("VL-RewardBench").

    Raises `ConfigError` with the nearest name for an unknown one.
    """
    known = {_plain(module): module for module in names()}
    if _plain(name) not in known:
        hint = did_you_mean(name.lower(), names())
        raise ConfigError(f"there is no benchmark {name!r}{hint} ({', '.join(names())})")
    benchmark: AnyBenchmark = import_module(f"{__name__}.{known[_plain(name)]}").BENCHMARK
    return benchmark


def named(kind: str, name: str | None, choices: Mapping[str, N], benchmark: str) -> tuple[str, N]:
    """The choice of that name, or the first. Raises `ConfigError` with the nearest name."""
    name = next(iter(choices)) if name is None else name
    if name not in choices:
        hint = did_you_mean(name, choices)
        raise ConfigError(f"{benchmark} has no {kind} {name!r}{hint} ({', '.join(choices)})")
    return name, choices[name]


def size_notes(counts: Mapping[str, int], used: CategoryMap) -> tuple[str, ...]:
    """A note where the categories do not have their known sizes. `counts` are of the records found."""
    short = [
        f"{counts[n]} of {size} {n}".strip() for n, size in used.sizes.items() if counts.get(n, size) != size
    ]
    more = [f"{size} in {n!r}, a category it has not" for n, size in counts.items() if n not in used.sizes]
    absent = ", ".join(n for n in used.sizes if n not in counts)
    found = [*short, *more, *([f"nothing of {absent}"] if absent else [])]
    return (f"not the whole benchmark as known here: {'; '.join(found)}",) if used.sizes and found else ()


def _repeated(records: Sequence[Row | Judged]) -> tuple[str, ...]:
    times = Counter((record.category, record.id) for record in records)
    again = [(category, id) for (category, id), n in times.items() if n > 1]
    if not again:
        return ()
    more = sum(times.values()) - len(times)
    return (f"{more} judgements repeat the id of an earlier one, {again[0][1]!r} first, and count again",)


def _sizes(records: Sequence[Row | Judged]) -> Counter[str]:
    """Items per category. A `Row` is an item; of `Judged` an item may have several, with one id."""
    if isinstance(records[0], Row):
        return Counter(record.category for record in records)
    return Counter(category for category, _ in {(record.category, record.id) for record in records})


def fingerprint(preferences: Iterable[Preference]) -> str:
    """A hash of questions, responses and ranks that does not depend on the order of rows or responses."""
    rows = sorted(
        json.dumps([transcript(p), sorted(zip(p.ranks or (), response_keys(p), strict=False))])
        for p in preferences
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
