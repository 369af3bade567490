"""Where a recipe's preferences come from: files, or the toy world written as files."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

from stablereward.data.formats import FORMATS
from stablereward.data.preferences import read_rows
from stablereward.data.toy.annotator import NoisyReader, ToyAnnotator
from stablereward.data.toy.files import write_toy
from stablereward.data.toy.pairs import pairs
from stablereward.errors import ConfigError, DataError
from stablereward.ranges import Number, Proportion, Size, require_ranges
from stablereward.recipes.rows import Fault, Kind, require_skipped, sorted_out, tell
from stablereward.types import Preference

Question = Literal["general", "hallucination", "reasoning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy:
    """The toy world: how many pairs, what they ask, and how its annotator errs (see `data.toy.annotator`)."""

    num_train: Size = 1500
    num_held_out: Size = 480
    kinds: tuple[Question, ...] = ("general", "hallucination", "reasoning")
    habit: Proportion = 0.75
    misreading: Proportion = 0.01
    mistake: Proportion = 0.08
    self_correction: Proportion = 0.08

    def __post_init__(self) -> None:
        require_ranges(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """Preference files in any known format (docs/data.md), or the toy world. `format` names theirs.

    Without a `held_out` file, `num_held_out` preferences of `train` are set apart by the seed, at most a
    fifth of it. Rows of a kind in `skip` are left out and counted; without it one of them stops the run.
    """

    train: Path | None = None
    held_out: Path | None = None
    format: str | None = None
    images_root: Path | None = None
    num_held_out: Number = 500
    skip: tuple[Kind, ...] = ()
    toy: Toy | None = None

    def __post_init__(self) -> None:
        require_ranges(self)
        own = [name for name in ("train", "held_out") if getattr(self, name) is not None]
        if self.toy is not None and own:
            raise ConfigError(
                f"{own[0]} and toy are both set, and only one can be read; for files of your own add "
                "--set data.toy=null"
            )
        if self.format is not None and self.format not in FORMATS:
            raise ConfigError(f"format is {self.format[:80]!r}; it must be one of {', '.join(FORMATS)}")


@dataclass(frozen=True, slots=True)
class Preferences:
    """What is trained on, what is measured on, and what was left out of the files."""

    train: list[Preference]
    held_out: list[Preference]
    left_out: list[Fault] = field(default_factory=list)


Look = Callable[[Sequence[Preference]], list[Fault]]
"""What is wrong with preferences that can be read, see `context.Context`."""


def load(data: Data, folder: Path, seed: int, look: Look | None = None) -> Preferences:
    """Reads the preferences; the toy world is first written to `folder`, once.

    Raises ConfigError where no source is named and DataError for rows that cannot be trained on and are not
    to be left out.
    """
    if data.toy is not None:
        return _toy(data, data.toy, folder, seed, look)
    train = _read(data, _named(data), look)
    if data.held_out is not None:
        return _told(train, _read(data, data.held_out, look))
    rows = train.rows
    if len(rows) < 2:
        raise DataError(
            f"{data.train}: {len(rows)} preference(s); give at least 2, or a file for data.held_out"
        )
    random.Random(seed).shuffle(rows)
    apart = max(1, min(data.num_held_out, len(rows) // 5))
    return replace(_told(train), train=rows[apart:], held_out=rows[:apart])


def first(data: Data, num: int, seed: int, look: Look | None = None) -> list[Preference]:
    """At most `num` of the preferences to train on, for a plan; the toy world is not written."""
    if data.toy is not None:
        return [
            pair.preference() for pair in pairs(min(num, data.toy.num_train), seed=seed, kinds=data.toy.kinds)
        ]
    return _read(data, _named(data), look, limit=num).rows


class _File(NamedTuple):
    path: Path
    rows: list[Preference]
    left_out: list[Fault]


def _read(data: Data, file: Path, look: Look | None, limit: int | None = None) -> _File:
    """The sound rows of a file. Raises DataError where there is none."""
    rows, faults = sorted_out(read_rows(file, format=data.format, images_root=data.images_root, limit=limit))
    num_rows = len(rows) + len(faults)
    if look is not None and rows:
        wrong = look(rows)
        gone = {fault.where for fault in wrong}
        rows, faults = [row for row in rows if row.where not in gone], faults + wrong
    require_skipped(faults, data.skip, num_rows)
    if not rows:
        left = f"; all {num_rows} rows are left out" if faults else ""
        raise DataError(f"{file}: no preferences in it{left}; give at least one")
    return _File(file, rows, faults)


def _told(*files: _File) -> Preferences:
    """The preferences of two files, or of one; says what was left out of them."""
    for file in files:
        tell(file.left_out, len(file.rows) + len(file.left_out))
    return Preferences(files[0].rows, files[-1].rows, [fault for file in files for fault in file.left_out])


def _toy(data: Data, toy: Toy, folder: Path, seed: int, look: Look | None) -> Preferences:
    train, held_out = folder / "train.jsonl", folder / "held_out.jsonl"
    if not (train.exists() and held_out.exists()):
        sizes = {"num_train": toy.num_train, "num_held_out": toy.num_held_out}
        write_toy(folder, **sizes, seed=seed, kinds=toy.kinds)
    found = [_read(replace(data, images_root=None), file, look) for file in (train, held_out)]
    for one, wanted in zip(found, (toy.num_train, toy.num_held_out), strict=True):
        if len(one.rows) + len(one.left_out) != wanted:
            raise DataError(
                f"{one.path}: not the {wanted} preferences of the toy world; remove the file and resume"
            )
    return _told(*found)


def _named(data: Data) -> Path:
    if data.train is None:
        raise ConfigError("data.train has no value; give a preference file with --set data.train=FILE")
    return data.train


def toy_annotator(toy: Toy, seed: int) -> ToyAnnotator:
    """The noisy reader over the pairs that `load` wrote for the same seed."""
    reader = NoisyReader(
        habit=toy.habit, misreading=toy.misreading, mistake=toy.mistake, self_correction=toy.self_correction
    )
    made = pairs(toy.num_train, seed=seed, kinds=toy.kinds)
    return ToyAnnotator(reader, {pair.preference().id: pair for pair in made})
