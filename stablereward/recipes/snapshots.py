"""What a policy was when each round began: weights in the run folder, and one frozen copy that takes them."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from stablereward.policies.policy import Savable
from stablereward.runs.files import writing
from stablereward.runs.folder import RunFolder


class Snapshots:
    """`frozen` is a copy of `module` with weights of its own, which `at` sets to those of a round.

    Only what is trained is kept: with adapters a snapshot is as small as they are. A run that goes on from
    within a round finds those of the rounds before.
    """

    def __init__(self, run: RunFolder, stage: str, module: Savable, frozen: Any) -> None:
        self.folder, self.stage, self.module, self.frozen = run.path / "snapshots", stage, module, frozen
        self.newest = -1
        """The round that began last."""
        self._now: int | None = None

    def take(self, number: int) -> None:
        """Keeps the weights that round `number`, counted from 0, begins with."""
        self.newest = number
        self.folder.mkdir(exist_ok=True)
        trained = {name: p for name, p in self.module.named_parameters() if p.requires_grad}
        path = self._path(number)
        partial = path.with_name(f".partial-{path.name}")
        with writing(path):
            save_file({name: p.detach().cpu().contiguous() for name, p in trained.items()}, partial)
            partial.replace(path)

    def has(self, number: int) -> bool:
        """Whether the weights of that round were kept."""
        return self._path(number).exists()

    def at(self, number: int) -> Any:
        """The frozen copy, with the weights of a round; of the first for a number below 0."""
        number = max(0, number)
        if number != self._now:
            self._copy(number, self.frozen)
            self._now = number
        return self.frozen

    def restore(self, number: int) -> None:
        """Gives the module itself the weights of a round."""
        self._copy(number, self.module)

    def _copy(self, number: int, module: Savable) -> None:
        own = dict(module.named_parameters())
        with torch.no_grad():
            for name, value in load_file(self._path(number)).items():
                own[name].copy_(value)

    def _path(self, number: int) -> Path:
        return self.folder / f"{self.stage}-{number + 1:04d}.safetensors"
