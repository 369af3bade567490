"""Prompts with their images as one padded batch, as a script on transformers makes it.

Runs in TRL's environment too, so it imports little.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from performance.work import Question, Shape, fixed_rollouts, questions
from stablereward.policies.processor import load_processor


def processor(folder: str) -> Any:
    """The saved processor, without torchvision and padding on the left."""
    made = load_processor(Path(folder), "qwen2_5_vl")
    made.tokenizer.padding_side = "left"
    return made


def chat(question: Question) -> list[dict[str, Any]]:
    """One user turn: images, then text."""
    parts: list[dict[str, Any]] = [{"type": "image"} for _ in question.images]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": question.text}]}]


def padded(using: Any, asked: Sequence[Question], device: str) -> dict[str, Tensor]:
    """input_ids, attention_mask and media of the prompts, padded on the left."""
    text = [using.apply_chat_template(chat(q), add_generation_prompt=True, tokenize=False) for q in asked]
    images = [list(q.images) for q in asked] if any(q.images for q in asked) else None
    made = using(text=text, images=images, padding=True, return_tensors="pt", add_special_tokens=False)
    return {name: value.to(device) for name, value in made.items()}


def repeated(batch: dict[str, Tensor], copies: int) -> dict[str, Tensor]:
    """Every prompt `copies` times in a row. All images of the batch have one size."""
    num = len(batch["input_ids"])
    several = {}
    for name, value in batch.items():
        one = value.reshape(num, -1, *value.shape[1:]) if name == "pixel_values" else value
        many = one.repeat_interleave(copies, dim=0)
        several[name] = many.flatten(0, 1) if name == "pixel_values" else many
    return several


def banned(using: Any) -> list[int]:
    """The tokens that no side may sample: those that announce an image, and the end."""
    names = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>", "<|im_end|>")
    return [using.tokenizer.convert_tokens_to_ids(name) for name in names]


def fixed_batch(using: Any, shape: Shape, device: str, seed: int) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """The prompts repeated, completions [B, T] and advantages [B] that gradients are compared on."""
    ids, advantages = fixed_rollouts(shape, seed)
    prompts = repeated(padded(using, questions(shape, shape.prompts, seed), device), shape.group)
    return prompts, torch.tensor(ids, device=device), torch.tensor(advantages, device=device)
