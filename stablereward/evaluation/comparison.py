"""Judges on the same pairs: what all of them judged, how far they are apart, whether that may be chance."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from types import MappingProxyType

from stablereward.errors import ConfigError, DataError
from stablereward.evaluation.bench import JudgedPair, parse_pairs
from stablereward.evaluation.benchmarks import AnyBenchmark
from stablereward.evaluation.content import content_keys, question_keys
from stablereward.evaluation.files import fields, read_document
from stablereward.evaluation.metrics import (
    Difference,
    Summary,
    by_category,
    difference,
    right_votes,
    summarise,
)
from stablereward.evaluation.rows import read_bytes
from stablereward.types import Preference, Row

ROWS, SETTINGS = "rows.jsonl", "settings.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What one judge said. `settings` are those of the measurement, empty where nobody wrote them down."""

    name: str
    rows: Sequence[JudgedPair]
    settings: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Two judges on some pairs. The counts are of pairs that are right in every order compared.

    `measured` is judge a minus judge b, see `metrics.Difference`.
    """

    measured: Difference
    only_a: int
    only_b: int
    both_right: int
    neither: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """Judge a against judge b. `p_holm` is the exact McNemar p, corrected over all pairs of judges."""

    a: str
    b: str
    overall: Tally
    p_holm: float
    categories: Mapping[str, Tally]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Judges on the pairs that all of them judged.

    `rows`       each judge's rows of these pairs, all in the order of the first judge's
    `more`       how many pairs a judge has that not all have
    `summaries`  and `categories`: of each judge, over all orders it was shown
    `contrasts`  each judge against each later one
    `notes`      findings that bear on the figures
    """

    benchmark: str
    rows: Mapping[str, Sequence[JudgedPair]]
    more: Mapping[str, int]
    summaries: Mapping[str, Summary]
    categories: Mapping[str, Mapping[str, Summary]]
    contrasts: tuple[Contrast, ...]
    notes: tuple[str, ...]


def rows_file(path: Path) -> Path:
    """The file of judgements: the path, or `rows.jsonl` of a folder."""
    return path / ROWS if path.is_dir() else path


def read_settings(path: Path) -> dict[str, object]:
    """The settings beside the judgements; empty where there are none. Raises `DataError`."""
    file = rows_file(path).with_name(SETTINGS)
    return read_document(file, dict[str, object]) if file.is_file() else {}


def knows_pairs(path: Path) -> bool:
    """Whether the rows know their pairs by content, as `bench` writes them. Raises `DataError`."""
    return {"pair", "votes"} <= fields(rows_file(path))


def read(path: Path, name: str) -> Results:
    """A folder or file that `bench` wrote. Raises `DataError` naming the line that is no judged pair."""
    file = rows_file(path)
    return Results(name=name, rows=parse_pairs(read_bytes(file), file), settings=read_settings(path))


def read_elsewhere(
    path: Path, name: str, benchmark: AnyBenchmark, preferences: Sequence[Preference], data: Path
) -> Results:
    """A file of judgements in a form of the benchmark, row i about pair i of its data.

    Raises `DataError` where ids or labels say that it is about other pairs.
    """
    rows, _ = benchmark.read(rows_file(path), data)
    if [row.id for row in rows] != [preference.id for preference in preferences]:
        raise DataError(
            f"{path}: its {len(rows)} rows are not the {len(preferences)} pairs of {data} in their order; "
            "give the data that was judged"
        )
    judged = []
    keys = zip(content_keys(preferences), question_keys(preferences), strict=True)
    for row, preference, (key, cluster) in zip(rows, preferences, keys, strict=True):
        if not isinstance(row, Row):
            raise DataError(f"{path}: tells classes, not which response won; compare other results")
        if row.best != preference.best:
            raise DataError(f"{path}: of pair {row.id!r} another response is best than in {data}")
        judged.append(
            JudgedPair(
                id=row.id,
                category=preference.category,
                best=row.best,
                votes=row.votes,
                cluster=cluster,
                pair=key,
            )
        )
    return Results(name=name, rows=judged, settings={"benchmark": benchmark.name})


def compare(results: Sequence[Results]) -> Comparison:
    """Everything measured on the pairs that all judged, matched by content; categories are the first's.

    Where one judge was shown both orders and another one, they are held against each other in one order:
    the given one, or what was drawn for the other. Pairs of one question go together where any of the results
    knows their questions.
    Raises `ConfigError` for results of different benchmarks or one name twice and `DataError` where no pair
    is shared or a pair is labelled in two ways.
    """
    names = [one.name for one in results]
    if len(names) < 2 or len(set(names)) < len(names):
        raise ConfigError("compare two or more different results")
    benchmark = _benchmark(results)
    by_pair = [{row.pair: row for row in one.rows} for one in results]
    shared = [key for key in by_pair[0] if all(key in rows for rows in by_pair)]
    if not shared:
        raise DataError(
            f"{' and '.join(names)} share no pair (same question, responses and images); "
            "measure them on the same data, and both or neither with stand-in images"
        )
    clusters = {key: next((c for rows in by_pair if (c := rows[key].cluster)), "") for key in shared}
    rows = {
        one.name: [
            replace(found[key], id=key, category=by_pair[0][key].category, cluster=clusters[key])
            for key in shared
        ]
        for one, found in zip(results, by_pair, strict=True)
    }
    _check_labels(rows)
    contrasts = [_contrast(a, b, rows[a], rows[b]) for a, b in combinations(names, 2)]
    corrected = holm([one.overall.measured.p_mcnemar for one in contrasts])
    return Comparison(
        benchmark=benchmark,
        rows=rows,
        more={name: len(found) - len(shared) for name, found in zip(names, by_pair, strict=True)},
        summaries={name: summarise(some, judge=name) for name, some in rows.items()},
        categories={name: _categories(some) for name, some in rows.items()},
        contrasts=tuple(replace(one, p_holm=p) for one, p in zip(contrasts, corrected, strict=True)),
        notes=tuple(_notes(results, rows)),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction: the i-th smallest of m, from 0, times m - i, none below a smaller one's, at most 1.

    Holm 1979, https://www.jstor.org/stable/4615733.
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        corrected[index] = highest
    return corrected


def in_shared_orders(
    a: Sequence[JudgedPair], b: Sequence[JudgedPair]
) -> tuple[Sequence[JudgedPair], Sequence[JudgedPair]]:
    """The rows with as many votes in one as in the other: those with two are cut to the order of the other.

    The order of a vote whose opinions all failed is not known; the given order then counts.
    """
    cut = [(_cut(x, y), _cut(y, x)) for x, y in zip(a, b, strict=True)]
    return [x for x, _ in cut], [y for _, y in cut]


def differing(comparison: Comparison) -> list[tuple[int, frozenset[str]]]:
    """The pairs on which not all judges chose alike, by index, with the judges right in every order shown."""
    right = {name: [all(votes) for votes in right_votes(rows)] for name, rows in comparison.rows.items()}
    apart: set[int] = set()
    for one in comparison.contrasts:
        a, b = in_shared_orders(comparison.rows[one.a], comparison.rows[one.b])
        apart.update(
            i
            for i, (x, y) in enumerate(zip(a, b, strict=True))
            if [vote.choice for vote in x.votes] != [vote.choice for vote in y.votes]
        )
    return [(i, frozenset(name for name in right if right[name][i])) for i in sorted(apart)]


def _benchmark(results: Sequence[Results]) -> str:
    named = {one.name: str(one.settings["benchmark"]) for one in results if one.settings.get("benchmark")}
    if len(set(named.values())) > 1:
        shown = "; ".join(f"{name}: {benchmark}" for name, benchmark in named.items())
        raise ConfigError(f"the results are of different benchmarks ({shown}); compare those of one")
    return next(iter(named.values()), "")


def _check_labels(rows: Mapping[str, Sequence[JudgedPair]]) -> None:
    first, *others = rows.items()
    for name, some in others:
        apart = sum(x.best != y.best for x, y in zip(first[1], some, strict=True))
        if apart:
            raise DataError(
                f"{first[0]} and {name} were measured with different labels on {apart} pairs; "
                "measure both on one version of the benchmark"
            )


def _contrast(a: str, b: str, of_a: Sequence[JudgedPair], of_b: Sequence[JudgedPair]) -> Contrast:
    x, y = in_shared_orders(of_a, of_b)
    names = sorted({row.category for row in x})
    categories = {
        name: _tally([row for row in x if row.category == name], [row for row in y if row.category == name])
        for name in names
    }
    overall = _tally(x, y)
    return Contrast(
        a=a,
        b=b,
        overall=overall,
        p_holm=overall.measured.p_mcnemar,
        categories=categories if any(names) else {},
    )


def _tally(a: Sequence[JudgedPair], b: Sequence[JudgedPair]) -> Tally:
    right_a, right_b = right_votes(a).all(axis=1), right_votes(b).all(axis=1)
    return Tally(
        measured=difference(a, b),
        only_a=int((right_a & ~right_b).sum()),
        only_b=int((right_b & ~right_a).sum()),
        both_right=int((right_a & right_b).sum()),
        neither=int((~right_a & ~right_b).sum()),
    )


def _cut(row: JudgedPair, other: JudgedPair) -> JudgedPair:
    if len(row.votes) <= len(other.votes):
        return row
    orders = [judgement.order for vote in other.votes for judgement in vote.judgements]
    fitting = [vote for vote in row.votes if any(j.order in orders for j in vote.judgements)]
    return replace(row, votes=tuple((fitting or list(row.votes))[: len(other.votes)]))


def _categories(rows: Sequence[JudgedPair]) -> Mapping[str, Summary]:
    found = by_category(rows)
    return found if any(found) else {}


def _notes(results: Sequence[Results], rows: Mapping[str, Sequence[JudgedPair]]) -> list[str]:
    """What was not the same for all, and why opinions are missing."""
    notes = []
    seen: dict[str, dict[str, str]] = {"orders": {}, "votes an order": {}, "stand-in images": {}}
    for one in results:
        first = rows[one.name][0]
        shown = "both" if len(first.votes) == 2 else "one"
        seen["orders"][one.name] = str(one.settings.get("orders", shown))
        votes = max(len(vote.judgements) + len(vote.failures) for vote in first.votes)
        seen["votes an order"][one.name] = str(votes)
        seen["stand-in images"][one.name] = "yes" if one.settings.get("stand_in_images") else "no"
    for what, values in seen.items():
        if len(set(values.values())) > 1:
            notes.append(f"{what} differ: " + ", ".join(f"{name} {value}" for name, value in values.items()))
    if len({len(some[0].votes) for some in rows.values()}) > 1:
        notes.append("the differences are of the orders that both judges of a column were shown")
    for name, some in rows.items():
        reasons = Counter(f.reason for row in some for vote in row.votes for f in vote.failures)
        if reasons:
            listed = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
            notes.append(f"{name}: opinions without a verdict: {listed}")
    return notes
