"""Checkpoints: ordinary Hugging Face folders with the optimiser's state beside the weights.

A checkpoint is written under another name and renamed when it is whole, so a kill at any moment leaves
either all of it or none. Only safetensors and JSON are written and read.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from pydantic import BaseModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stablereward.errors import ModelError
from stablereward.policies.policy import Savable
from stablereward.runs.files import writing

STATE = "trainer/state.json"
OPTIMIZER = "trainer/optimizer.safetensors"
WEIGHTS = "trainer/trained.safetensors"
MEMORY = "trainer/memory.safetensors"


class Memory(Protocol):
    """What a learner's batches depend on beside the number of the update, as tensors by name."""

    def state_dict(self) -> Mapping[str, Tensor]: ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None: ...


class Part(Protocol):
    """What is saved of one learner."""

    @property
    def name(self) -> str: ...

    @property
    def module(self) -> Savable: ...

    @property
    def optimizer(self) -> torch.optim.Optimizer: ...

    @property
    def memory(self) -> Memory | None: ...


class _State(BaseModel):
    """`trainer/state.json`: what a resumed run must know."""

    stage: str
    update: int
    notes: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A whole checkpoint of a stage after an update."""

    path: Path
    stage: str
    update: int


def save(
    run: Path,
    stage: str,
    update: int,
    parts: Sequence[Part],
    keep: int = 2,
    *,
    notes: Mapping[str, Any] | None = None,
    spare: int | None = None,
) -> None:
    """Writes `checkpoints/STAGE-UPDATE` and removes all but the newest `keep` of the stage.

    One part lies in the folder itself, several in folders of their names. `notes` are kept with them, as
    JSON; the checkpoint of update `spare` stays, however old.
    """
    target = run / "checkpoints" / f"{stage}-{update:06d}"

    def fill(folder: Path) -> None:
        for part, own in zip(parts, _folders(folder, parts), strict=True):
            own.mkdir(exist_ok=True)
            part.module.save(own)
            (own / STATE).parent.mkdir()
            named = dict(_trained(part.module))
            save_file({name: p.detach().cpu().contiguous() for name, p in named.items()}, own / WEIGHTS)
            save_file(_optimizer_state(named, part.optimizer), own / OPTIMIZER)
            if part.memory is not None:
                state = part.memory.state_dict()
                save_file({name: t.detach().cpu().contiguous() for name, t in state.items()}, own / MEMORY)
        state_file = folder / STATE
        state_file.parent.mkdir(exist_ok=True)
        state_file.write_text(
            json.dumps({"stage": stage, "update": update, "notes": dict(notes or {})}), encoding="utf-8"
        )

    write_folder(target, fill)
    for old in find(run, stage)[:-keep]:
        if old.update != spare:
            shutil.rmtree(old.path)


def find(run: Path, stage: str) -> list[Checkpoint]:
    """The whole checkpoints of a stage, oldest first."""
    found = []
    for path in (run / "checkpoints").glob(f"{stage}-*"):
        number = path.name.removeprefix(f"{stage}-")
        if number.isdecimal() and (path / STATE).is_file():
            found.append(Checkpoint(path, stage, int(number)))
    return sorted(found, key=lambda c: c.update)


def restore(checkpoint: Checkpoint, parts: Sequence[Part]) -> Mapping[str, Any]:
    """Puts weights, optimiser state and memory back, bit for bit; returns the notes.

    Raises ModelError where the files do not fit; the parts may then hold some of them.
    """
    try:
        for part, own in zip(parts, _folders(checkpoint.path, parts), strict=True):
            _restore(part, own)
        return _State.model_validate_json((checkpoint.path / STATE).read_bytes()).notes
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        cause = str(error).strip().splitlines()[0]
        raise ModelError(f"{checkpoint.path}: does not fit the run: {cause}") from error


def _restore(part: Part, folder: Path) -> None:
    named = dict(_trained(part.module))
    weights, moments = load_file(folder / WEIGHTS), load_file(folder / OPTIMIZER)
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.copy_(weights[name])
    part.optimizer.state.clear()
    for name, parameter in named.items():
        if f"{name}/step" in moments:
            part.optimizer.state[parameter] = {
                "step": moments[f"{name}/step"],
                "exp_avg": moments[f"{name}/exp_avg"].to(parameter.device),
                "exp_avg_sq": moments[f"{name}/exp_avg_sq"].to(parameter.device),
            }
    if part.memory is not None:
        part.memory.load_state_dict(load_file(folder / MEMORY))


def restore_newest(
    run: Path, stage: str, parts: Sequence[Part]
) -> tuple[Checkpoint | None, Mapping[str, Any], list[str]]:
    """Restores the stage's newest checkpoint that can be read; returns it, its notes and what is wrong
    with newer ones. None where there is no checkpoint.

    Raises ModelError where there are some and none can be read.
    """
    wrong: list[str] = []
    for found in reversed(find(run, stage)):
        try:
            return found, restore(found, parts), wrong
        except ModelError as error:
            wrong.append(str(error))
    if wrong:
        raise ModelError(f"{wrong[0]}; no older one can be read either: remove them to begin {stage} anew")
    return None, {}, []


def _folders(folder: Path, parts: Sequence[Part]) -> list[Path]:
    return [folder] if len(parts) == 1 else [folder / part.name for part in parts]


def write_folder(target: Path, fill: Callable[[Path], None]) -> None:
    """Makes a folder appear whole: filled under another name, synced, then renamed."""
    partial = target.with_name(f".partial-{target.name}")
    with writing(target):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            fill(partial)
        except SafetensorError as error:
            raise OSError(28 if "No space" in str(error) else 5, str(error)) from error
        for path in partial.rglob("*"):
            if path.is_file():
                _sync(path)
        if target.exists():
            shutil.rmtree(target)
        partial.rename(target)
        _sync(target.parent)


def _trained(module: Savable) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in module.named_parameters() if p.requires_grad]


def _optimizer_state(named: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    found = {}
    for name, parameter in named.items():
        state = optimizer.state.get(parameter)
        if state:
            for moment in ("step", "exp_avg", "exp_avg_sq"):
                found[f"{name}/{moment}"] = state[moment].detach().cpu().contiguous()
    return found


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
