"""Judge × preferences → rows."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from zlib import crc32

import numpy as np

from stablereward.blocking import blocking
from stablereward.errors import ConfigError, DataError
from stablereward.evaluation.content import question_keys
from stablereward.judges.protocol import Opinion, PreferenceJudge
from stablereward.judges.voting import vote
from stablereward.types import Preference, Row, Vote

Progress = Callable[[Sequence[Row]], None]
"""Called with the rows of each finished batch: advance a bar, write them to a file."""


async def evaluate_async(
    judge: PreferenceJudge,
    preferences: Sequence[Preference],
    *,
    votes: int = 1,
    both_orders: bool = True,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> list[Row]:
    """One row per labelled preference, in their order.

    `Row.votes[0]` is the vote of `votes` opinions in the given order, `Row.votes[1]`, with `both_orders`,
    in the reversed order; `Row.cluster` is the question's key. `batch_size` counts preferences per call of
    the judge.
    Raises `DataError`, before anything is judged, where a preference has no single best response.
    """
    best = [_best(preference, i) for i, preference in enumerate(preferences)]
    rows: list[Row] = []
    for start in range(0, len(preferences), batch_size):
        batch = preferences[start : start + batch_size]
        opinions = await judge.opinions(batch, votes=votes, both_orders=both_orders)
        labels, clusters = best[start : start + batch_size], question_keys(batch)
        done = [
            Row(
                id=p.id,
                category=p.category,
                best=label,
                votes=_by_order(heard, votes, len(p.responses)),
                cluster=cluster,
            )
            for p, label, heard, cluster in zip(batch, labels, opinions, clusters, strict=True)
        ]
        if progress is not None:
            progress(done)
        rows.extend(done)
    return rows


def evaluate(
    judge: PreferenceJudge,
    preferences: Sequence[Preference],
    *,
    votes: int = 1,
    both_orders: bool = True,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> list[Row]:
    """`evaluate_async`, waited for."""
    return blocking(
        evaluate_async(
            judge,
            preferences,
            votes=votes,
            both_orders=both_orders,
            batch_size=batch_size,
            progress=progress,
        )
    )


def at_votes(rows: Sequence[Row], votes: int, *, seed: int = 0) -> list[Row]:
    """The same rows with fewer votes: `votes` of each row's opinions per order, drawn without replacement.

    One pool of 15 samples so gives Voting@1, @5 and @15. At one vote this is a sample at the pool's
    temperature, not the greedy verdict. The draw depends on the seed and the row's content alone.
    Raises `ConfigError` where a row has fewer opinions.
    """
    return [_drawn(row, votes, seed) for row in rows]


def _drawn(row: Row, votes: int, seed: int) -> Row:
    generator = np.random.default_rng([seed, crc32(repr(row).encode())])
    drawn = []
    for full in row.votes:
        pool = (*full.judgements, *full.failures)
        if votes > len(pool):
            raise ConfigError(f"row {row.id!r} has {len(pool)} opinions per order; asked for {votes}")
        kept = sorted(generator.permutation(len(pool))[:votes])
        drawn.append(vote([pool[i] for i in kept], len(full.probabilities)))
    return replace(row, votes=tuple(drawn))


def _best(preference: Preference, index: int) -> int:
    if preference.best is None:
        raise DataError(
            f"preference {index} (id {preference.id!r}) has no single best response; label it or leave it out"
        )
    return preference.best


def _by_order(opinions: Sequence[Opinion], votes: int, num_responses: int) -> tuple[Vote, ...]:
    return tuple(
        vote(opinions[start : start + votes], num_responses) for start in range(0, len(opinions), votes)
    )
