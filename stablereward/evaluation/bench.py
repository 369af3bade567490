"""A long measurement that survives being killed: what was judged is safe in a file and not judged again."""

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from stablereward.errors import ConfigError, DataError, EngineError, StorageError
from stablereward.evaluation.content import content_keys, question_keys
from stablereward.evaluation.evaluate import evaluate
from stablereward.evaluation.presentation import drawn_order
from stablereward.evaluation.rows import parse, read_bytes
from stablereward.judges.protocol import Opinion, PreferenceJudge
from stablereward.types import Judgement, Preference, Row

BATCH = 16
"""Pairs judged together. What a sampling judge writes depends on a pair's place among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPair(Row):
    """A row that knows its pair by content, see `content_keys`."""

    pair: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A judge that is shown each pair in an order drawn from the seed and the content."""

    judge: PreferenceJudge
    seed: int

    async def opinions(
        self, preferences: Sequence[Preference], *, votes: int = 1, both_orders: bool = False
    ) -> list[tuple[Opinion, ...]]:
        """See `PreferenceJudge.opinions`; `both_orders` adds the reverse of the drawn order."""
        orders = [drawn_order(preference, self.seed) for preference in preferences]
        shown = [p.reordered(order) for p, order in zip(preferences, orders, strict=True)]
        heard = await self.judge.opinions(shown, votes=votes, both_orders=both_orders)
        return [
            tuple(_translated(opinion, order) for opinion in opinions)
            for opinions, order in zip(heard, orders, strict=True)
        ]


def judge_all(
    judge: PreferenceJudge,
    preferences: Sequence[Preference],
    path: Path,
    *,
    votes: int = 1,
    both_orders: bool = True,
    progress: Callable[[int], None] | None = None,
) -> list[JudgedPair]:
    """One row a labelled preference, in their order; those that the file has are read from it.

    New rows are appended and synced batch by batch. A batch of which the file has a part is judged again as
    a whole, and only what is missing is added, so that an interrupted and resumed run writes the bytes of
    an uninterrupted one. `progress` takes the number of pairs that are done.
    Raises `EngineError` where a server answers nothing at all, `DataError` for a file that is no such file
    or a preference without a single best response, `StorageError` where the file cannot be written.
    """
    keys = content_keys(preferences)
    done = {row.pair: row for row in read(path)} if path.exists() else {}
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        if any(key not in done for key in batch):
            rows = evaluate(judge, preferences[start : start + BATCH], votes=votes, both_orders=both_orders)
            _require_answers(rows)
            judged = [_judged(row, key) for row, key in zip(rows, batch, strict=True) if key not in done]
            _append(judged, path)
            done.update((row.pair, row) for row in judged)
        if progress is not None:
            progress(start + len(batch))
    # Rows of older files do not know their question.
    return [replace(done[key], cluster=c) for key, c in zip(keys, question_keys(preferences), strict=True)]


def read(path: Path) -> list[JudgedPair]:
    """The rows of a file; the last line is taken away where a kill tore it.

    Raises `DataError` with the line that is no row, as `rows.parse`, or that judges a pair again.
    """
    content = read_bytes(path)
    whole = content.rfind(b"\n") + 1
    try:
        if whole < len(content):
            os.truncate(path, whole)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    return parse_pairs(content[:whole], path)


def parse_pairs(content: bytes, path: Path) -> list[JudgedPair]:
    """The rows in a file's content. Raises `DataError` as `rows.parse`, and where a pair comes twice."""
    rows = parse(content, path, JudgedPair)
    twice = next((pair for pair, times in Counter(row.pair for row in rows).items() if times > 1), None)
    if twice is not None:
        lines = [n for n, line in enumerate(content.split(b"\n"), 1) if twice.encode() in line]
        raise DataError(f"{path}:{lines[1]}: pair {twice!r} was judged before, in line {lines[0]}; keep one")
    return rows


def keep_settings(rows_file: Path, settings: Mapping[str, object]) -> None:
    """Writes `settings.json` beside the rows, or, where rows are there already, checks that it says the same.

    Raises `ConfigError` naming what differs, so that two measurements never mix in one file.
    """
    folder, path = rows_file.parent, rows_file.with_name("settings.json")
    if not (rows_file.exists() and path.exists()):
        write(path, json.dumps(settings, indent=1) + "\n")
    try:
        kept = TypeAdapter(dict[str, object]).validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise DataError(f"{path}: not settings of a measurement; choose another --output") from None
    differing = [name for name in settings if kept.get(name) != settings[name]]
    if differing:
        shown = ", ".join(f"{name} {kept.get(name)!r} there, {settings[name]!r} now" for name in differing)
        raise ConfigError(f"{folder}: holds another measurement ({shown}); choose another --output")


def write(path: Path, text: str) -> None:
    """Writes a whole file or leaves what was there. Raises `StorageError`."""
    partial = path.with_name(f".partial-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror}); choose another folder") from None


def _translated(opinion: Opinion, order: tuple[int, ...]) -> Opinion:
    """An opinion on the drawn order, in the indices of the preference as stored."""
    if not isinstance(opinion, Judgement):
        return opinion
    return replace(opinion, choice=order[opinion.choice], order=tuple(order[i] for i in opinion.order))


def _require_answers(rows: Sequence[Row]) -> None:
    """A server that is down has no opinion, and nothing of that is kept: the run goes on another time."""
    votes = [vote for row in rows for vote in row.votes]
    failures = [failure for vote in votes for failure in vote.failures]
    unheard = all(f.reason in ("unreachable", "timeout") or f.reason.startswith("http_") for f in failures)
    if failures and unheard and not any(vote.judgements for vote in votes):
        first = failures[0]
        raise EngineError(
            f"no answer to {len(failures)} prompts ({first.reason}: {first.detail}); run the command again "
            "to go on"
        )


def _judged(row: Row, key: str) -> JudgedPair:
    return JudgedPair(
        id=row.id, category=row.category, best=row.best, votes=row.votes, cluster=row.cluster, pair=key
    )


def _append(rows: Sequence[JudgedPair], path: Path) -> None:
    adapter = TypeAdapter(JudgedPair)
    lines = [json.dumps(adapter.dump_python(row, mode="json"), ensure_ascii=False) + "\n" for row in rows]
    try:
        with path.open("ab") as file:
            # A judge may write half a character, which JSON on a disk cannot hold.
            file.write("".join(lines).encode("utf-8", "replace"))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror}); free some space, then run the command again"
        ) from error
