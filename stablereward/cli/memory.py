"""What published models need, to judge with them and to train them. Estimates, to decide what to try."""

from functools import cache, partial

from transformers import Qwen2_5_VLConfig, Qwen2Config

from stablereward.policies.published import SIZES, VISION, Size
from stablereward.training.planning import Drawing, Length, Shapes, Update, Work, needs
from stablereward.training.policy_gradient import RLConfig

PROMPT, COMPLETION = 1024, 1024
"""Tokens; where the model sees, three quarters of a prompt are of an image, each of four patches."""


@cache
def _text(size: Size) -> Shapes:
    return Shapes(Qwen2Config(**size.config()))


@cache
def _vision(size: Size) -> Shapes:
    vision = {**VISION, "out_hidden_size": size.hidden}
    return Shapes(
        Qwen2_5_VLConfig(text_config=size.config(), vision_config=vision, tie_word_embeddings=size.tied)
    )


PUBLISHED = {
    "Qwen2.5-0.5B": partial(_text, SIZES["0.5B"]),
    "Qwen2.5-VL-3B": partial(_vision, SIZES["3B"]),
    "Qwen2.5-VL-7B": partial(_vision, SIZES["7B"]),
}


def judging(shapes: Shapes, *, gpu: bool) -> int:
    """Bytes to judge: weights, and keys and values, in bfloat16 on a GPU and float32 on a CPU."""
    work = Work(name="judge", drawing=Drawing(group=1, completion=COMPLETION), half=gpu)
    return needs(shapes, work, _prompt(shapes), gpu=gpu).peak


def training(shapes: Shapes, *, gpu: bool, lora: bool) -> int:
    """Bytes to train by the default RL settings, with gradient checkpointing and no reference model."""
    rl = RLConfig()
    group, completion, prompts = rl.num_generations, rl.max_completion_length, rl.prompts_per_batch
    work = Work(
        name="rl",
        update=Update(
            prompts=prompts // rl.updates_per_batch,
            group=group,
            completion=completion,
            token_budget=rl.token_budget,
        ),
        drawing=Drawing(group=group, completion=completion, prompts=prompts),
        rank=16 if lora else None,
        checkpointing=True,
    )
    return needs(shapes, work, _prompt(shapes), gpu=gpu).peak


def _prompt(shapes: Shapes) -> Length:
    sees = hasattr(shapes.config, "vision_config")
    return Length(PROMPT, 4 * PROMPT * 3 // 4 if sees else 0)
