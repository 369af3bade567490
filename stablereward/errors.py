"""Every error a user can cause or meet, each one clear line: what, where, what to do.

The command prints the message alone and exits with `exit_code`; the library raises it.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class StableRewardError(Exception):
    """Base of all errors this package raises on purpose."""

    exit_code = 1


class ConfigError(StableRewardError):
    """A setting has an unknown name, a wrong type or a value out of range."""

    exit_code = 2


class DataError(StableRewardError):
    """A row, a file or an image cannot be read as what it should be."""

    exit_code = 3


class TooLongError(DataError):
    """A prompt does not fit the model's context."""


class ModelError(StableRewardError):
    """A model folder cannot be loaded, or the model cannot do what is asked."""

    exit_code = 4


class EngineError(StableRewardError):
    """An engine that generates text cannot be reached or answers wrongly."""

    exit_code = 5


class TrainingError(StableRewardError):
    """A run cannot go on; its state up to the last checkpoint is kept."""

    exit_code = 6


class StorageError(StableRewardError):
    """A file cannot be written, for example because the disk is full."""

    exit_code = 7


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that suggests the nearest of the known names; empty where none is near."""
    names = list(known)
    begun = [one for one in names if name and one.startswith(name)]
    near = get_close_matches(name[:200], names, n=1, cutoff=0.5) or begun
    return f"; did you mean {near[0]}?" if near else ""
