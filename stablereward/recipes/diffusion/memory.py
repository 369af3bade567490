"""What training a generator of pictures takes on a GPU, counted on shapes before anything is downloaded."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel

from stablereward.policies.diffusion import ATTENTION, without_weights
from stablereward.policies.published import PICKSCORE
from stablereward.recipes.diffusion.pictures import Recipe
from stablereward.training.footprint import peak

GIB = 2**30
FLOAT = 4
KEPT = 4
"""Numbers for each one of an adapter: itself, its gradient and AdamW's two moments."""


def plan(config: Recipe, *, through_decoder: bool) -> str:
    """What `stablereward doctor --plan` says. `through_decoder`: the reward's gradient passes the decoder.

    Activations are those of one step of as many pictures as are drawn at once, guidance included: without
    checkpointing a gradient through K steps keeps K times as much.
    """
    task = config.task
    parts, num = without_weights(task.model), task.drawing.at_once
    for part in (parts.network, parts.decoder):
        part.requires_grad_(False)  # adapters are what is trained
    settings = parts.network.config
    size = settings.sample_size
    states = torch.empty(num, settings.in_channels, size, size, device="meta", requires_grad=True)
    rows = num if task.drawing.guidance == 1.0 else 2 * num
    words = torch.empty(rows, 77, settings.cross_attention_dim, device="meta")
    times = torch.empty(rows, device="meta")

    def guided() -> Tensor:
        both = states.repeat(rows // num, 1, 1, 1)
        found: Tensor = parts.network(both, times, encoder_hidden_states=words).sample
        return found

    step = _peak(guided, backward=True)
    decoding = _peak(lambda: parts.decoder.decode(states).sample, backward=through_decoder)
    with torch.device("meta"):
        reward = CLIPModel(CLIPConfig(**PICKSCORE))
    weights = [_bytes(part) for part in (parts.network, parts.words, parts.decoder)]
    known = task.reward not in ("bright", "cls")
    weights.append(_bytes(reward) if known else 0)
    adapters = KEPT * FLOAT * _adapters(parts.network, task.lora.rank)
    both = "with its gradient" if through_decoder else "without a gradient"
    together = sum(weights) + adapters + max(step, decoding)
    pixels = size * 2 ** (len(parts.decoder.config.block_out_channels) - 1)
    checkpointed = (
        "each step is computed again for its gradient"
        if config.hardware.gradient_checkpointing
        else "a gradient through K steps keeps K times a step: set hardware.gradient_checkpointing=true"
    )
    return (
        f"{parts.source}, {num} pictures of {pixels} pixels at once, on a GPU, products in bfloat16\n"
        f"  weights: network {_gib(weights[0])}, text {_gib(weights[1])}, decoder {_gib(weights[2])}, "
        f"reward {_gib(weights[3])}{' (taken to be PickScore)' if known else ''}\n"
        f"  adapters with gradient and moments: {_gib(adapters)}\n"
        f"  a step with its gradient: {_gib(step)}; decoding {both}: {_gib(decoding)}\n"
        f"  together: {_gib(together)}; {checkpointed}\n"
        "  Counted on shapes: the adapters' own activations and the reward's are left out. Fewer pictures "
        "with task.drawing.at_once"
    )


def _peak(forward: Callable[[], Tensor], *, backward: bool) -> int:
    return peak(forward, halved=True, backward=backward).bytes


def _bytes(part: nn.Module) -> int:
    return FLOAT * sum(weight.numel() for weight in part.parameters())


def _adapters(network: nn.Module, rank: int) -> int:
    """Numbers in the adapters of every attention layer."""
    return sum(
        rank * (layer.in_features + layer.out_features)
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear) and name.endswith(ATTENTION)
    )


def _gib(size: float) -> str:
    return f"{size / GIB:.2f} GiB" if size >= 0.01 * GIB else f"{size / 2**20:.1f} MiB"
