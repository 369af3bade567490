"""The toy world as ordinary preference files with PNG images."""

from collections.abc import Sequence
from pathlib import Path

from stablereward.data.preferences import write_preferences
from stablereward.data.toy.pairs import pairs
from stablereward.data.toy.questions import KINDS


def write_toy(
    folder: Path, *, num_train: int, num_held_out: int, seed: int, kinds: Sequence[str] = tuple(KINDS)
) -> tuple[Path, Path]:
    """Writes `train.jsonl` and `held_out.jsonl`; returns their paths. They share no scene."""
    train, held_out = folder / "train.jsonl", folder / "held_out.jsonl"
    write_preferences(train, (pair.preference() for pair in pairs(num_train, seed=seed, kinds=kinds)))
    made = pairs(num_held_out, seed=seed, held_out=True, kinds=kinds)
    write_preferences(held_out, (pair.preference() for pair in made))
    return train, held_out
