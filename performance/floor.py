"""The least time a shape can take on this machine: operations over its rate, bytes over its bandwidth."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from performance.device import Device
from performance.work import Shape

PATCHES_PER_TOKEN = 4
SECONDS = 0.3
"""How long a probe is repeated; its fastest run counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Operations a second of matrix products as wide as the model's and of large ones; bytes a second."""

    model_flops: float
    large_flops: float
    bandwidth: float


def _fastest(run: Callable[[], Any], device: Device) -> float:
    def once() -> float:
        start = device.now()
        run()
        return device.now() - start

    once()
    end = time.perf_counter() + SECONDS
    best = once()
    while time.perf_counter() < end:
        best = min(best, once())
    return best


def measure(device: Device, model: str) -> Rates:
    """Probes the machine in the type that the model computes in."""
    text, place = _config(model)["text_config"], device.place
    large = 8192 if place == "cuda" else 1024

    def rate(rows: int, inner: int, columns: int) -> float:
        a = torch.rand((rows, inner), device=place, dtype=device.number)
        b = torch.rand((inner, columns), device=place, dtype=device.number)
        return 2 * rows * inner * columns / _fastest(lambda: a @ b, device)

    source = torch.rand(2**26, device=place)
    target = torch.empty_like(source)
    copied = 2 * source.nbytes / _fastest(lambda: target.copy_(source), device)
    return Rates(
        model_flops=rate(4096, text["hidden_size"], text["intermediate_size"]),
        large_flops=rate(large, large, large),
        bandwidth=copied,
    )


def _config(model: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((Path(model) / "config.json").read_text())
    return read


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Operations and bytes that a phase cannot do without, every prompt read once."""

    flops: float
    bytes: float

    def seconds(self, rates: Rates) -> float:
        return max(self.flops / rates.model_flops, self.bytes / rates.bandwidth)


def count(model: str) -> int:
    """The number of parameters in a model folder, tied ones once."""
    total = 0
    for path in Path(model).glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            total += sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    return total


class Model:
    """A model's operations, from its config. A multiplication and an addition are two operations."""

    def __init__(self, model: str, width: int) -> None:
        config = _config(model)
        text, self.vision, self.width = config["text_config"], config["vision_config"], width
        self.layers, self.hidden = int(text["num_hidden_layers"]), int(text["hidden_size"])
        self.keys = int(text["num_key_value_heads"]) * self.hidden // int(text["num_attention_heads"])
        attention = 2 * self.hidden * self.hidden + 2 * self.hidden * self.keys
        self.layer_weights = attention + 3 * self.hidden * int(text["intermediate_size"])
        # All that a token is multiplied with, the output layer apart.
        self.text_weights = self.layers * self.layer_weights
        self.head_weights = self.hidden * int(text["vocab_size"])

    def attention(self, pairs: float) -> float:
        """Scores and sums over `pairs` of a token and one that it sees."""
        return 4.0 * pairs * self.hidden * self.layers

    def image(self, tokens: int) -> float:
        """The vision tower on one image. Windowed layers see their window, the others the whole image."""
        v, patches = self.vision, tokens * PATCHES_PER_TOKEN
        hidden, out = v["hidden_size"], v["out_hidden_size"]
        layer = 4 * hidden * hidden + 3 * hidden * v["intermediate_size"]
        merged = PATCHES_PER_TOKEN * hidden
        whole = len(v["fullatt_block_indexes"])
        window = min(patches, (v["window_size"] // v["patch_size"]) ** 2)
        seen = patches * (whole * patches + (v["depth"] - whole) * window)
        embedding = v["patch_size"] ** 2 * v["temporal_patch_size"] * v["in_channels"] * hidden
        weights = patches * (v["depth"] * layer + embedding) + tokens * (merged * merged + merged * out)
        return float(2 * weights + 4 * seen * hidden)

    def reading(self, shape: Shape) -> float:
        """Every prompt once, its image included."""
        text = 2.0 * shape.prompt * self.text_weights + self.attention(shape.prompt**2 / 2)
        return shape.prompts * (text + (self.image(shape.image) if shape.image else 0.0))

    def writing(self, shape: Shape) -> float:
        """The forward of every completion token but the last, and the output layer for all of them."""
        length = shape.completion
        text = 2.0 * (length - 1) * self.text_weights + 2.0 * length * self.head_weights
        return shape.samples * (text + self.attention(length * shape.prompt + length**2 / 2))

    def rollout(self, shape: Shape) -> Cost:
        """Bytes: weights once a token written, a prompt's keys and values once a group, a sample's own."""
        keys = 2 * self.keys * self.layers
        own = shape.samples * shape.completion / 2 * keys
        shared = shape.prompts * shape.prompt * keys
        weights = self.text_weights + self.head_weights
        moved = shape.completion * (weights + own + shared) * self.width
        return Cost(flops=self.reading(shape) + self.writing(shape), bytes=float(moved))

    def update(self, shape: Shape, parameters: int) -> Cost:
        """Forward and backward are three forwards; AdamW reads four and writes three float32 arrays."""
        return Cost(flops=3 * (self.reading(shape) + self.writing(shape)), bytes=7.0 * 4 * parameters)


def floors(model: str, shape: Shape, parameters: int, rates: Rates, device: Device) -> dict[str, Any]:
    """By phase: operations, bytes and the least seconds."""
    counted = Model(model, device.number.itemsize)
    costs = {"rollout": counted.rollout(shape), "update": counted.update(shape, parameters)}
    return {name: {**asdict(cost), "seconds": cost.seconds(rates)} for name, cost in costs.items()}
