"""One tiny random model of every family, and prompts that try what they must read."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from stablereward.policies import tiny, tiny_families
from stablereward.policies.completions import Answered, encoded
from stablereward.policies.processor import ImageOnlyQwen2_5VLProcessor
from stablereward.policies.token import TokenPolicy
from stablereward.policies.tree import EncodedGroup
from stablereward.types import Completion, Group, Prompt

VISION = ("qwen2_5_vl", "qwen3_vl", "llava")
ALL = (*VISION, "llama")


@cache
def tokenizer() -> Any:
    return tiny.train_tokenizer(tiny.toy_corpus(50), vocab_size=384)


def make(family: str, folder: Path, *, seed: int = 0) -> TokenPolicy:
    """A random model of the family, written to `folder` and loaded from it."""
    if family == "qwen2_5_vl":
        tiny.qwen2_5_vl(tokenizer(), seed=seed, hidden=64, layers=2).save_pretrained(folder)
        images = Qwen2VLImageProcessorPil(min_pixels=28 * 28 * 4, max_pixels=tiny.MAX_TOY_PIXELS)
        ImageOnlyQwen2_5VLProcessor(images, tokenizer(), chat_template=tiny.CHAT_TEMPLATE).save_pretrained(
            folder
        )
    else:
        create = {
            "qwen3_vl": tiny_families.create_qwen3_vl,
            "llava": tiny_families.create_llava,
            "llama": tiny_families.create_llama,
        }[family]
        create(folder, tokenizer(), seed=seed)
    return TokenPolicy.load(folder, device="cpu")


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Random pixels."""
    pixels = torch.randint(256, (height, width, 3), generator=torch.Generator().manual_seed(seed))
    return Image.fromarray(pixels.to(torch.uint8).numpy())


TEXT_ONLY = Prompt.user(text="What is the capital?")
ONE_IMAGE = Prompt.user(text="Describe it.", images=(picture(64, 64, 1),))
TWO_IMAGES = Prompt.user(text="Which is larger, and why?", images=(picture(90, 56, 2), picture(60, 130, 3)))


def prompts(policy: TokenPolicy) -> tuple[Prompt, ...]:
    """Two images of different sizes, none, and one; text alone where the model cannot see."""
    if policy.processor is policy.tokenizer:
        return (TEXT_ONLY, Prompt.user(text="Which is larger, and why? Think first."), Prompt.user(text="Hi"))
    return (TWO_IMAGES, TEXT_ONLY, ONE_IMAGE)


def ragged(policy: TokenPolicy, lengths: tuple[int, ...], seed: int = 0) -> tuple[tuple[int, ...], ...]:
    """Random completions of these lengths, without the tokens that are never sampled."""
    vocabulary = policy.model.get_output_embeddings().weight.shape[0]
    allowed = torch.tensor([i for i in range(vocabulary) if i not in policy.suppressed])
    generator = torch.Generator().manual_seed(seed)
    return tuple(
        tuple(allowed[torch.randint(len(allowed), (n,), generator=generator)].tolist()) for n in lengths
    )


LENGTHS = ((1, 5, 9), (4, 2), (7,))


def answered(policy: TokenPolicy) -> list[Answered]:
    """Three prompts with three, two and one completions."""
    return [
        Group(
            prompt=prompt,
            trajectories=tuple(Completion(text="", token_ids=ids) for ids in ragged(policy, lengths, seed)),
        )
        for seed, (prompt, lengths) in enumerate(zip(prompts(policy), LENGTHS, strict=True))
    ]


def groups(policy: TokenPolicy) -> list[EncodedGroup]:
    """The same as a tree takes them."""
    return [encoded(policy, group) for group in answered(policy)]


def plain_logprobs(
    policy: TokenPolicy, prompt: Prompt, completion: tuple[int, ...], temperature: float = 1.0
) -> Tensor:
    """The log-probabilities of one completion by transformers alone: one unpadded row, no cache, and
    positions, image features and mask as the model's own forward makes them."""
    model, processor = policy.model, policy.processor
    text: Any = prompt.text
    if prompt.images or processor is not policy.tokenizer:
        text = [{"type": "image"} for _ in prompt.images] + [{"type": "text", "text": prompt.text}]
    chat = processor.apply_chat_template(
        [{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False
    )
    media = {"images": list(prompt.images)} if prompt.images else {}
    inputs = dict(processor(text=[chat], return_tensors="pt", **media))
    ids = torch.tensor([completion])
    start = inputs["input_ids"].shape[1]
    inputs["input_ids"] = torch.cat([inputs["input_ids"], ids], dim=1)
    for name, value in (("attention_mask", 1), ("mm_token_type_ids", 0), ("token_type_ids", 0)):
        if name in inputs:
            inputs[name] = torch.cat([inputs[name], torch.full_like(ids, value)], dim=1)
    logits_TV = model(**inputs, use_cache=False).logits[0, start - 1 : -1].float() / temperature
    blocked = torch.zeros(logits_TV.shape[-1], dtype=torch.bool)
    blocked[policy.suppressed] = True
    return logits_TV.masked_fill(blocked, float("-inf")).log_softmax(-1).gather(-1, ids[0, :, None])[:, 0]
