"""Prompts with their images as one padded batch, as a script on transformers makes it.

Runs in TRL's environment too, so it imports little.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from performance.device import Device
from performance.work import Job, fixed_rollouts, prompts_of
from stablereward.policies.processor import load_processor
from stablereward.types import Prompt

Batch = dict[str, Tensor]


def processor(folder: str) -> Any:
    """The saved processor, without torchvision and padding on the left."""
    made = load_processor(Path(folder), "qwen2_5_vl")
    made.tokenizer.padding_side = "left"
    return made


def padded(using: Any, asked: Sequence[Prompt], place: str) -> Batch:
    """input_ids, attention_mask and media of the prompts, padded on the left."""
    text = []
    for prompt in asked:
        parts = [*({"type": "image"} for _ in prompt.images), {"type": "text", "text": prompt.text}]
        chat = [{"role": "user", "content": parts}]
        text.append(using.apply_chat_template(chat, add_generation_prompt=True, tokenize=False))
    images = [list(p.images) for p in asked] if any(p.images for p in asked) else None
    made = using(text=text, images=images, padding=True, return_tensors="pt", add_special_tokens=False)
    return {name: value.to(place) for name, value in made.items()}


def repeated(batch: Batch, copies: int) -> Batch:
    """Every prompt `copies` times in a row, a row each: pixels become [B, patches, numbers] until `flat`.

    All images of the batch have one size.
    """
    if "pixel_values" in batch:
        pixels = batch["pixel_values"]
        batch = {**batch, "pixel_values": pixels.view(len(batch["input_ids"]), -1, pixels.shape[-1])}
    return {name: value.repeat_interleave(copies, dim=0) for name, value in batch.items()}


def flat(batch: Batch) -> Batch:
    """What `repeated` made as the model wants it."""
    return {name: value.flatten(0, 1) if name == "pixel_values" else value for name, value in batch.items()}


def banned(using: Any) -> list[int]:
    """The tokens that no side may sample: those that announce an image, and the end."""
    names = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>", "<|im_end|>")
    return [using.tokenizer.convert_tokens_to_ids(name) for name in names]


def fixed_batch(using: Any, job: Job) -> tuple[Batch, Tensor, Tensor]:
    """The prompts repeated, completions [B, T] and advantages [B] that gradients are compared on."""
    shape, place = job.shape, Device(job.device).place
    ids, advantages = fixed_rollouts(shape, job.seed)
    prompts = repeated(padded(using, prompts_of(shape, shape.prompts, job.seed), place), shape.group)
    return prompts, torch.tensor(ids, device=place), torch.tensor(advantages, device=place)
