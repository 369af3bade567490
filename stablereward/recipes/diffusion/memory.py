"""What training a generator of pictures takes, counted on shapes before anything is downloaded."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPModel

from stablereward.policies.diffusion import ATTENTION, without_weights
from stablereward.policies.published import PICKSCORE
from stablereward.recipes.diffusion.pictures import Recipe
from stablereward.training.footprint import peak
from stablereward.training.planning import Stated

GIB = 2**30
FLOAT = 4
KEPT = 4
"""Numbers for each one of an adapter: itself, its gradient and AdamW's two moments."""
WORDS = 77
"""Tokens of a prompt that a text encoder of Stable Diffusion reads."""


def plan(config: Recipe, *, gpu: bool, at_once: int, steps: int, through_decoder: bool) -> Stated:
    """What `stablereward doctor --plan` says. Raises ModelError for a folder without a UNet.

    A gradient passes through `at_once` pictures together and through `steps` of their steps before memory is
    free again, guidance included; with checkpointing a step is in memory at a time. `through_decoder`: the
    reward's gradient passes reward and decoder.
    """
    task, checkpointing = config.task, config.hardware.gradient_checkpointing
    parts = without_weights(task.model)
    for part in (parts.network, parts.decoder):
        part.requires_grad_(False)  # adapters are what is trained
    settings = parts.network.config
    size = settings.sample_size
    states = torch.empty(at_once, settings.in_channels, size, size, device="meta", requires_grad=True)
    rows = at_once if task.drawing.guidance == 1.0 else 2 * at_once
    words = torch.empty(rows, WORDS, settings.cross_attention_dim, device="meta")
    times = torch.empty(rows, device="meta")

    def guided() -> Tensor:
        both = states.repeat(rows // at_once, 1, 1, 1)
        found: Tensor = parts.network(both, times, encoder_hidden_states=words).sample
        return found

    step = peak(guided, halved=gpu, backward=True).bytes  # the network alone is under autocast
    decoding = _whole(lambda: parts.decoder.decode(states).sample, backward=through_decoder)
    known = task.reward not in ("bright", "cls")
    weights = [_bytes(part) for part in (parts.network, parts.words, parts.decoder)]
    judging, judge = _reward(at_once, backward=through_decoder) if known else (0, 0)
    adapters = KEPT * FLOAT * _adapters(parts.network, task.lora.rank)
    behind = decoding + judging if through_decoder else 0
    passes = max(step, decoding, judging) if checkpointing else max(steps * step + behind, decoding, judging)
    together = sum(weights) + judge + adapters + passes
    pixels = size * 2 ** (len(parts.decoder.config.block_out_channels) - 1)
    both = "with its gradient" if through_decoder else "without a gradient"
    kept = "each step is computed again for its gradient"
    if not checkpointing:
        kept = f"{steps} x a step is kept; hardware.gradient_checkpointing=true keeps one"
    setting = "training.at_once" if through_decoder else "task.drawing.at_once"
    return Stated(
        f"{parts.source}, {at_once} pictures of {pixels} pixels at once, on a {'GPU' if gpu else 'CPU'}\n"
        f"  weights: network {_gib(weights[0])}, text {_gib(weights[1])}, decoder {_gib(weights[2])}, "
        f"reward {_gib(judge)}{' (taken to be PickScore)' if known else ''}\n"
        f"  adapters with gradient and moments: {_gib(adapters)}\n"
        f"  a step with its gradient: {_gib(step)}; decoding {both}: {_gib(decoding)}; "
        f"the reward's pass: {_gib(judging)}\n"
        f"  together: {_gib(together)}; {kept}\n"
        "  Counted on shapes, not measured on a GPU; the adapters' own activations, the states between "
        f"steps and\n  a kernel's scratch are left out. Fewer pictures with {setting}",
        together,
    )


def _reward(num: int, *, backward: bool) -> tuple[int, int]:
    """Bytes of PickScore's pass over pictures, and of its weights."""
    with torch.device("meta"):
        model = CLIPModel(CLIPConfig(**PICKSCORE)).requires_grad_(False)
    size = model.config.vision_config.image_size
    pictures = torch.empty(num, 3, size, size, device="meta", requires_grad=True)
    return _whole(lambda: model.vision_model(pictures).pooler_output, backward=backward), _bytes(model)


def _whole(forward: Callable[[], Tensor], *, backward: bool) -> int:
    """In float32, as decoder and reward are."""
    return peak(forward, halved=False, backward=backward).bytes


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
