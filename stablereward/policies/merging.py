"""A model's weights as anyone loads them: low-rank adapters folded in, under the original names."""

from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

ADAPTER = "default"
"""The name under which peft keeps the one adapter of a policy."""


@torch.no_grad()
def merged_weights(model: nn.Module) -> dict[str, Tensor]:
    """The state of `model`, with W + (alpha / rank)·BA for every adapted W (https://arxiv.org/abs/2106.09685).

    The sums are new tensors in main memory: the live weights are not touched, so that training goes on
    from the same bits. Without adapters this is the plain state.
    """
    state: dict[str, Tensor] = model.state_dict()
    for name, layer in adapted_layers(model).items():
        own = {key: state.pop(key) for key in list(state) if key.startswith(f"{name}.")}
        base = {key.replace(".base_layer.", "."): own[key] for key in own if ".base_layer." in key}
        base[f"{name}.weight"] = merged_weight(layer).to("cpu")
        state.update(base)
    return state


def merged_weight(layer: Any) -> Tensor:
    """The weight of a linear layer, its adapter folded in where it has one."""
    if not isinstance(layer, LoraLayer):
        plain: Tensor = layer.weight
        return plain
    weight = layer.get_base_layer().weight
    change = layer.lora_B[ADAPTER].weight.float() @ layer.lora_A[ADAPTER].weight.float()
    merged: Tensor = (weight.float() + layer.scaling[ADAPTER] * change).to(weight.dtype)
    return merged


def adapted_layers(model: nn.Module) -> dict[str, LoraLayer]:
    """The layers that carry an adapter, by name."""
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, LoraLayer)}
