"""A model without numbers: its shapes, from config.json alone, for planning."""

import copy
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import torch
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

from stablereward.engines.token_step import JOINED_BYTES
from stablereward.errors import ModelError
from stablereward.policies import config_file, published
from stablereward.policies.adapters import add_lora
from stablereward.policies.attention import route
from stablereward.policies.checkpointing import checkpoint_layers
from stablereward.policies.parts import part_of
from stablereward.policies.processor import UNREADABLE, cause
from stablereward.policies.shipped import SHIPPED, model_folder
from stablereward.policies.token import TokenPolicy
from stablereward.training.footprint import Fused

KEPT_BY_A_LAYER = 4 / 3
"""What a gated vision block keeps for its backward pass, by what its linear layers read and write. Measured
in tests/training/test_outline.py, as the next number is."""
JOINED = {"q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"}
BYTES_HALVED = 3
"""Of a kept number of the vision tower under autocast, where some are float32 and some bfloat16."""


def read_config(path_or_name: str | Path) -> tuple[Path, Any]:
    """A model's folder and its configuration. Nothing is downloaded.

    Where a model that a paper begins from is not here, it has its published shapes and a folder that does not
    exist. Raises ModelError where another has no config.json here or is of no family that transformers knows.
    """
    folder = Path(os.path.expanduser(path_or_name))
    if str(path_or_name) in SHIPPED or os.path.exists(folder):
        folder = model_folder(path_or_name)
    else:
        found = _cached(str(path_or_name))
        if found is None:
            return folder, AutoConfig.for_model(**published.NAMED[str(path_or_name)])
        folder = found
    try:
        return folder, config_file.read_config(folder)
    except UNREADABLE as error:
        raise ModelError(f"{folder}: config.json cannot be read: {cause(error)}") from error


def _cached(name: str) -> Path | None:
    try:
        found = try_to_load_from_cache(name, "config.json")
    except HFValidationError:
        found = None
    if not isinstance(found, str):
        if name in published.NAMED:
            return None
        raise ModelError(
            f"{name}: no such folder here, and a plan downloads nothing; `hf download {name} config.json "
            "--local-dir FOLDER` is enough, then --set model=FOLDER"
        )
    return Path(found).parent


def build(config: Any) -> Any:
    """The model on the meta device, in float32. Raises ModelError for a family that has no such model."""
    config = copy.deepcopy(config)  # routing writes into it
    kind = type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
    auto = AutoModelForImageTextToText if kind else AutoModelForCausalLM
    try:
        with torch.device("meta"):
            return auto.from_config(config, dtype=torch.float32)
    except UNREADABLE as error:
        raise ModelError(
            f"{config.model_type}: no model can be made of this config.json: {cause(error)}"
        ) from error


class Vision(NamedTuple):
    """Bytes that the vision tower keeps for each patch in its backward pass, that one block keeps, and that
    are there at once where nothing is kept (half as many, as measured)."""

    kept: float
    block: float

    @property
    def read(self) -> float:
        return self.block / 2


class Outline(TokenPolicy):
    """A token policy on the meta device that needs no processor: it scores, and cannot encode."""

    def __init__(
        self,
        config: Any,
        *,
        half: bool = False,
        halved: bool = False,
        rank: int | None = None,
        checkpointing: bool = False,
    ) -> None:
        """`half` keeps weights in bfloat16, `halved` computes with copies of them in it, and `rank` puts
        adapters beside the layers. Raises ModelError."""
        nn.Module.__init__(self)
        self.model = build(config)
        self.suppressed = [0]
        self.value_head = None
        self.shares_prompts = route(self.model)
        if half:
            self.model.to(torch.bfloat16)
        if rank is not None:
            add_lora(self, rank=rank)
        if checkpointing:
            again = lambda: (nullcontext(), Fused(halved=halved))  # noqa: E731
            checkpoint_layers(self.model, use_reentrant=False, context_fn=again)
        self.halved, self.checkpointing = halved, checkpointing

    def num_parameters(self, *, trained: bool = False) -> int:
        return sum(p.numel() for p in self.parameters() if p.requires_grad or not trained)

    def largest(self) -> int:
        """Numbers of the largest tensor that is trained."""
        return max((p.numel() for p in self.parameters() if p.requires_grad), default=0)

    def joined(self) -> int:
        """Bytes of the weights that `engines.token_step` copies for sampling. Under autocast its copies
        take the place of autocast's."""
        layers = getattr(self.model.get_decoder(), "layers", nn.ModuleList())
        if self.halved or sum(p.nbytes for p in layers.parameters()) > JOINED_BYTES:
            return 0
        return sum(p.nbytes for name, p in layers.named_parameters() if name.split(".")[-2] in JOINED)

    def patches_per_token(self) -> int:
        """Patches of an image that become one token."""
        vision = getattr(self.model.config, "vision_config", None)
        return int(getattr(vision, "spatial_merge_size", 1)) ** 2

    def vision(self) -> Vision:
        """An estimate by the tower's linear layers; its code needs numbers and is not run."""
        mixed = self.halved or self.model.dtype == torch.bfloat16
        bytes_each = BYTES_HALVED if mixed else 4
        blocks = projector = 0.0
        trained = False
        for name, module in self.model.named_modules():
            part = part_of(f"{name}.weight")
            if not isinstance(module, nn.Linear) or part not in ("vision", "projector"):
                continue
            width = KEPT_BY_A_LAYER * bytes_each * (module.in_features + module.out_features)
            trained = trained or module.weight.requires_grad
            if part == "vision":
                blocks += width
            else:
                projector += width / self.patches_per_token()
        config = getattr(self.model.config, "vision_config", None)
        if config is None:
            return Vision(0.0, 0.0)
        depth: int = getattr(config, "depth", None) or config.num_hidden_layers
        inputs = (
            (6 if self.halved and trained else 4)
            * 3
            * config.patch_size**2
            * getattr(config, "temporal_patch_size", 1)
        )
        if not trained:
            return Vision(inputs, blocks / depth)
        if self.checkpointing:
            return Vision(inputs + 4 * depth * config.hidden_size + projector, blocks / depth)
        return Vision(inputs + blocks + projector, blocks / depth)
