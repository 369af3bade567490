"""Where a recipe's preferences come from: files, or the toy world written as files."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stablereward.data.preferences import read_preferences
from stablereward.data.toy.annotator import NoisyReader, ToyAnnotator
from stablereward.data.toy.files import write_toy
from stablereward.data.toy.pairs import pairs
from stablereward.errors import ConfigError, DataError
from stablereward.ranges import Count, Number, Share, require_ranges
from stablereward.types import Preference


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy:
    """The toy world: how many pairs, and how its annotator errs (see `data.toy.annotator`)."""

    num_train: Count = 1500
    num_held_out: Count = 480
    habit: Share = 0.75
    misreading: Share = 0.01
    mistake: Share = 0.08
    self_correction: Share = 0.08

    def __post_init__(self) -> None:
        require_ranges(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Preference files in any known format (docs/data.md), or the toy world.

    Without a `held_out` file, `num_held_out` preferences of `train` are set apart by the seed, at most a
    fifth of it.
    """

    train: Path | None = None
    held_out: Path | None = None
    images_root: Path | None = None
    num_held_out: Number = 500
    toy: Toy | None = None

    def __post_init__(self) -> None:
        require_ranges(self)


@dataclass(frozen=True, slots=True)
class Preferences:
    """What is trained on and what is measured on."""

    train: list[Preference]
    held_out: list[Preference]


def load(data: Data, folder: Path, seed: int) -> Preferences:
    """Reads the preferences; the toy world is first written to `folder`, once.

    Raises ConfigError where no source is named and DataError for rows that cannot be trained on.
    """
    if data.toy is not None:
        train, held_out = folder / "train.jsonl", folder / "held_out.jsonl"
        if not (train.exists() and held_out.exists()):
            sizes = {"num_train": data.toy.num_train, "num_held_out": data.toy.num_held_out}
            train, held_out = write_toy(folder, **sizes, seed=seed)
        return Preferences(list(read_preferences(train)), list(read_preferences(held_out)))
    if data.train is None:
        raise ConfigError("data.train has no value; give a preference file with --set data.train=FILE")
    rows = list(read_preferences(data.train, images_root=data.images_root))
    _require_labels(rows, data.train)
    if data.held_out is not None:
        apart_rows = list(read_preferences(data.held_out, images_root=data.images_root))
        _require_labels(apart_rows, data.held_out)
        return Preferences(rows, apart_rows)
    if len(rows) < 2:
        raise DataError(
            f"{data.train}: {len(rows)} preference(s); give at least 2, or a file for data.held_out"
        )
    random.Random(seed).shuffle(rows)
    apart = max(1, min(data.num_held_out, len(rows) // 5))
    return Preferences(rows[apart:], rows[:apart])


def _require_labels(rows: Sequence[Preference], file: Path) -> None:
    if not rows:
        raise DataError(f"{file}: no preferences in it; give at least one")
    unlabelled = next((number for number, row in enumerate(rows, start=1) if row.best is None), None)
    if unlabelled is not None:
        raise DataError(
            f"{file}: preference {unlabelled} has no single best response; label it or leave it out"
        )


def toy_annotator(toy: Toy, seed: int) -> ToyAnnotator:
    """The noisy reader over the pairs that `load` wrote for the same seed."""
    reader = NoisyReader(
        habit=toy.habit, misreading=toy.misreading, mistake=toy.mistake, self_correction=toy.self_correction
    )
    return ToyAnnotator(reader, {pair.preference().id: pair for pair in pairs(toy.num_train, seed=seed)})
