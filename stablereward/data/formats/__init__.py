"""Preference files of this package and of others, one file a format."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from stablereward.data.formats import (
    chosen_rejected,
    hh_rlhf,
    ms_swift,
    multimodal_rewardbench,
    nemo_rl,
    omnireward,
    r1_reward,
    sharegpt,
    stablereward,
    trl,
    vl_rewardbench,
)
from stablereward.types import Preference


class Format(Protocol):
    """A module of this folder."""

    def matches(self, row: Mapping[str, object]) -> bool:
        """Whether a file whose first row is `row` is in this format."""
        ...

    def read(self, row: Mapping[str, object], where: str, folder: Path) -> Preference:
        """The preference in `row`; relative image paths start at `folder`.

        Raises DataError, beginning with `where`, naming the field and what to do.
        """
        ...


FORMATS: Mapping[str, Format] = {
    "stablereward": stablereward,
    "r1_reward": r1_reward,
    "multimodal_rewardbench": multimodal_rewardbench,
    "vl_rewardbench": vl_rewardbench,
    "omnireward": omnireward,
    "nemo_rl": nemo_rl,
    "ms_swift": ms_swift,
    "sharegpt": sharegpt,
    "trl": trl,
    "hh_rlhf": hh_rlhf,
    "chosen_rejected": chosen_rejected,
}
"""By name, in the order in which a file's first row is tried."""
