"""What published models need, to judge with them and to train them. Estimates, to decide what to try."""

from functools import cache, partial
from typing import Any

from transformers import Qwen2_5_VLConfig, Qwen2Config

from stablereward.training.planning import Drawing, Length, Shapes, Update, Work, needs

PROMPT = 1024
"""Tokens of a prompt; where the model sees, three quarters are of an image, each of four patches."""
COMPLETION, GROUP, TOKEN_BUDGET = 1024, 8, 16_384
"""The defaults of `RLConfig`."""


@cache
def _text(hidden: int, layers: int, heads: int, keys: int, mlp: int) -> Shapes:
    """A published Qwen2.5 checkpoint of tied embeddings."""
    return Shapes(Qwen2Config(**_language(hidden, layers, heads, keys, mlp, 151_936, tied=True)))


@cache
def _vision(
    hidden: int, layers: int, heads: int, keys: int, mlp: int, vocabulary: int, *, tied: bool
) -> Shapes:
    """A published Qwen2.5-VL checkpoint; the vision tower is the same at every size."""
    text = _language(hidden, layers, heads, keys, mlp, vocabulary, tied=tied)
    vision = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16}
    vision["out_hidden_size"] = hidden
    return Shapes(Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=tied))


def _language(
    hidden: int, layers: int, heads: int, keys: int, mlp: int, vocabulary: int, *, tied: bool
) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": keys,
        "intermediate_size": mlp,
        "vocab_size": vocabulary,
        "tie_word_embeddings": tied,
        "max_position_embeddings": 32_768,
    }


PUBLISHED = {
    "Qwen2.5-0.5B": partial(_text, 896, 24, 14, 2, 4864),
    "Qwen2.5-VL-3B": partial(_vision, 2048, 36, 16, 2, 11_008, 151_936, tied=True),
    "Qwen2.5-VL-7B": partial(_vision, 3584, 28, 28, 4, 18_944, 152_064, tied=False),
}
"""From the config.json of Qwen2.5-0.5B, Qwen2.5-VL-3B-Instruct and Qwen2.5-VL-7B-Instruct."""


def judging(shapes: Shapes, *, gpu: bool) -> int:
    """Bytes to judge: weights, and keys and values, in bfloat16 on a GPU and float32 on a CPU."""
    work = Work(name="judge", drawing=Drawing(group=1, completion=COMPLETION), half=gpu)
    return needs(shapes, work, _prompt(shapes), gpu=gpu).peak


def training(shapes: Shapes, *, gpu: bool, lora: bool) -> int:
    """Bytes to train by the default RL settings, with gradient checkpointing and no reference model."""
    work = Work(
        name="rl",
        update=Update(prompts=16, group=GROUP, completion=COMPLETION, token_budget=TOKEN_BUDGET),
        drawing=Drawing(group=GROUP, completion=COMPLETION, prompts=32),
        rank=16 if lora else None,
        checkpointing=True,
    )
    return needs(shapes, work, _prompt(shapes), gpu=gpu).peak


def _prompt(shapes: Shapes) -> Length:
    sees = hasattr(shapes.config, "vision_config")
    return Length(PROMPT, 4 * PROMPT * 3 // 4 if sees else 0)
