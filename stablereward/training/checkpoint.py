"""Checkpoints: ordinary Hugging Face folders with the optimiser's state beside the weights.

A checkpoint is written under another name and renamed when it is whole, so a kill at any moment leaves
either all of it or none. Only safetensors and JSON are written and read.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, FiniteFloat
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stablereward.errors import ModelError
from stablereward.policies.token import TokenPolicy
from stablereward.training.run_folder import writing

STATE = "trainer/state.json"
OPTIMIZER = "trainer/optimizer.safetensors"
WEIGHTS = "trainer/trained.safetensors"


class _State(BaseModel):
    """`trainer/state.json`: the optimiser's step of each parameter, and what a resumed run must know."""

    stage: str
    update: int
    steps: dict[str, FiniteFloat]
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
    policy: TokenPolicy,
    optimizer: torch.optim.Optimizer,
    keep: int = 2,
    *,
    notes: Mapping[str, Any] | None = None,
    spare: int | None = None,
) -> None:
    """Writes `checkpoints/STAGE-UPDATE` and removes all but the newest `keep` of the stage.

    `notes` are kept with it, as JSON; the checkpoint of update `spare` stays, however old.
    """
    target = run / "checkpoints" / f"{stage}-{update:06d}"

    def fill(folder: Path) -> None:
        policy.save(folder)
        (folder / STATE).parent.mkdir()
        named = dict(_trained(policy))
        save_file({name: p.detach().cpu().contiguous() for name, p in named.items()}, folder / WEIGHTS)
        moments, steps = _optimizer_state(named, optimizer)
        save_file(moments, folder / OPTIMIZER)
        state = {"stage": stage, "update": update, "steps": steps, "notes": dict(notes or {})}
        (folder / STATE).write_text(json.dumps(state), encoding="utf-8")

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


def restore(
    checkpoint: Checkpoint, policy: TokenPolicy, optimizer: torch.optim.Optimizer
) -> Mapping[str, Any]:
    """Puts weights and optimiser state back, bit for bit; returns the notes.

    Raises ModelError where the files do not fit; the policy may then hold some of them.
    """
    named = dict(_trained(policy))
    try:
        weights = load_file(checkpoint.path / WEIGHTS)
        moments = load_file(checkpoint.path / OPTIMIZER)
        state = _State.model_validate_json((checkpoint.path / STATE).read_bytes())
        with torch.no_grad():
            for name, parameter in named.items():
                parameter.copy_(weights[name])
        optimizer.state.clear()
        for name, parameter in named.items():
            if name in state.steps:
                optimizer.state[parameter] = {
                    "step": torch.tensor(state.steps[name]),
                    "exp_avg": moments[f"{name}/exp_avg"].to(parameter.device),
                    "exp_avg_sq": moments[f"{name}/exp_avg_sq"].to(parameter.device),
                }
        return state.notes
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        cause = str(error).strip().splitlines()[0]
        raise ModelError(f"{checkpoint.path}: does not fit the run: {cause}") from error


def restore_newest(
    run: Path, stage: str, policy: TokenPolicy, optimizer: torch.optim.Optimizer
) -> tuple[Checkpoint | None, Mapping[str, Any], list[str]]:
    """Restores the stage's newest checkpoint that can be read; returns it, its notes and what is wrong
    with newer ones. None where there is no checkpoint.

    Raises ModelError where there are some and none can be read.
    """
    wrong: list[str] = []
    for found in reversed(find(run, stage)):
        try:
            return found, restore(found, policy, optimizer), wrong
        except ModelError as error:
            wrong.append(str(error))
    if wrong:
        raise ModelError(f"{wrong[0]}; no older one can be read either: remove them to begin {stage} anew")
    return None, {}, []


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


def _trained(policy: nn.Module) -> list[tuple[str, nn.Parameter]]:
    return [(name, p) for name, p in policy.named_parameters() if p.requires_grad]


def _optimizer_state(
    named: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Tensor], dict[str, float]]:
    moments, steps = {}, {}
    for name, parameter in named.items():
        state = optimizer.state.get(parameter)
        if state:
            steps[name] = float(state["step"])
            for moment in ("exp_avg", "exp_avg_sq"):
                moments[f"{name}/{moment}"] = state[moment].detach().cpu().contiguous()
    return moments, steps


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
