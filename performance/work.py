"""The work that every side is given: shapes, weights, prompts with images, and a reward."""

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from performance.device import Device
from stablereward.policies import tiny
from stablereward.policies.processor import ImageOnlyQwen2_5VLProcessor
from stablereward.policies.published import SIZES, VISION, Size
from stablereward.types import Prompt

PIXELS = 28
"""Side of the square that becomes one image token."""
TEMPLATE_TOKENS = 8
IMAGE_BORDER = 2
WORDS = (" a", " look", " yes", " no")
"""One token each, so that a text has exactly as many tokens as words."""
LEARNING_RATE = 1e-6
BETAS = (0.9, 0.95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Tokens of a prompt (its image included) and of a completion; prompts of a step; samples of a prompt."""

    prompt: int
    completion: int
    prompts: int
    group: int = 8
    image: int = 0

    @property
    def samples(self) -> int:
        return self.prompts * self.group


SHAPES = {
    "30+29": Shape(prompt=30, completion=29, prompts=32, image=4),
    "150+64": Shape(prompt=150, completion=64, prompts=16, image=64),
    "482+100": Shape(prompt=482, completion=100, prompts=8, image=256),
    "1400+350": Shape(prompt=1400, completion=350, prompts=8, image=1280),
}


def small(shape: Shape) -> Shape:
    """A shape of the same kind that takes no time."""
    return replace(
        shape,
        prompt=min(shape.prompt, 100),
        completion=min(shape.completion, 6),
        prompts=2,
        group=min(shape.group, 4),
        image=min(shape.image, 64),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that a worker is told. `fresh` is how many steps' worth of prompts it makes, none used twice."""

    side: str
    shape: Shape
    model: str
    device: str = "cpu"
    fresh: int = 16
    micro_batch: int = 0
    checkpointing: bool = False
    seed: int = 0


def prompts_of(shape: Shape, num: int, seed: int) -> list[Prompt]:
    """`num` prompts of exactly `shape.prompt` tokens, no two alike."""
    rng = random.Random(seed)
    words = shape.prompt - TEMPLATE_TOKENS - (shape.image + IMAGE_BORDER if shape.image else 0)
    if words < 1:
        raise ValueError(f"a prompt of {shape.prompt} tokens has no room for an image of {shape.image}")
    return [
        Prompt.user(
            text="a" + "".join(rng.choices(WORDS, k=words - 1)),
            images=(picture(shape.image, rng),) if shape.image else (),
        )
        for _ in range(num)
    ]


def picture(tokens: int, rng: random.Random) -> Image.Image:
    """Rectangles on a ground, as large as makes exactly `tokens` image tokens."""
    rows = next(n for n in range(isqrt(tokens), 0, -1) if tokens % n == 0)
    width, height = tokens // rows * PIXELS, rows * PIXELS
    image = Image.new("RGB", (width, height), tuple(rng.randrange(256) for _ in range(3)))
    draw = ImageDraw.Draw(image)
    for _ in range(5):
        x, y = rng.randrange(width), rng.randrange(height)
        draw.rectangle((x, y, x + width // 3, y + height // 3), tuple(rng.randrange(256) for _ in range(3)))
    return image


def reward(text: str) -> float:
    """In [0, 1) with a spread, the same on every machine; costs next to nothing."""
    return zlib.crc32(text.encode()) % 1000 / 1000


def fixed_rollouts(shape: Shape, seed: int) -> tuple[list[list[int]], list[float]]:
    """Token ids and advantages of `shape.samples` samples, to compare gradients on."""
    rng = random.Random(seed)
    lowest, highest = len(tiny.SPECIAL_TOKENS), 500
    ids = [[rng.randrange(lowest, highest) for _ in range(shape.completion)] for _ in range(shape.samples)]
    return ids, [rng.gauss(0, 1) for _ in ids]


def config(size: Size, tokenizer: Any, shrink: int = 1) -> Any:
    """The checkpoint's shapes with the toy tokenizer's special tokens.

    With `shrink` so many times fewer layers, narrower and with fewer words, but with as many query heads to
    a key, and with layers of both kinds in the vision tower: those that see a window and the whole image.
    """
    token_id = tokenizer.convert_tokens_to_ids
    keys = max(1, size.keys // shrink)
    shrunk = Size(
        hidden=size.hidden // shrink,
        layers=size.layers // shrink,
        heads=size.heads // size.keys * keys,
        keys=keys,
        mlp=size.mlp // shrink,
        vocabulary=size.vocabulary // shrink,
        tied=size.tied,
    )
    half = shrunk.hidden // shrunk.heads // 2
    depth, whole = VISION["depth"] // shrink, max(2, 8 // shrink)
    return Qwen2_5_VLConfig(
        text_config={
            **shrunk.config(),
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1_000_000.0,
                "mrope_section": [half // 4, half * 3 // 8, half * 3 // 8],
            },
            "bos_token_id": None,
            "eos_token_id": token_id("<|im_end|>"),
            "pad_token_id": token_id("<|endoftext|>"),
        },
        vision_config={
            **{name: number // shrink for name, number in VISION.items()},
            "out_hidden_size": shrunk.hidden,
            "window_size": 112,
            "fullatt_block_indexes": list(range(whole - 1, depth, whole)),
        },
        image_token_id=token_id("<|image_pad|>"),
        video_token_id=token_id("<|video_pad|>"),
        vision_start_token_id=token_id("<|vision_start|>"),
        vision_end_token_id=token_id("<|vision_end|>"),
        tie_word_embeddings=size.tied,
    )


def create(folder: Path, size: str, device: Device) -> None:
    """Writes a model of random weights with its processor: `tiny`, or a name in SIZES (in bfloat16)."""
    tokenizer = tiny.train_tokenizer(tiny.toy_corpus(200))
    if size == "tiny":
        model = tiny.qwen2_5_vl(tokenizer)
    else:
        shapes = config(SIZES[size], tokenizer, device.shrink)
        torch.manual_seed(0)
        with torch.device(device.place):
            model = Qwen2_5_VLForConditionalGeneration(shapes).to(torch.bfloat16)
        model.generation_config.eos_token_id = [tokenizer.eos_token_id]
        model.generation_config.pad_token_id = tokenizer.pad_token_id
    images = Qwen2VLImageProcessorPil(min_pixels=PIXELS**2 * 4, max_pixels=PIXELS**2 * 4096)
    model.save_pretrained(folder)
    ImageOnlyQwen2_5VLProcessor(images, tokenizer, chat_template=tiny.CHAT_TEMPLATE).save_pretrained(folder)


def require_length(lengths: Sequence[int], shape: Shape) -> None:
    """Raises ValueError where a prompt does not have the tokens that its shape says."""
    if set(lengths) != {shape.prompt}:
        raise ValueError(f"prompts have {sorted(set(lengths))} tokens where the shape says {shape.prompt}")
