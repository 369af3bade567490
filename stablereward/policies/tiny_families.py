"""Tiny random models of the other families: Qwen3-VL, LLaVA and a text-only Llama.

They prove the one path of `TokenPolicy` where rotary positions, vision features and processors differ.
Each is saved as an ordinary Hugging Face folder and loaded like a downloaded model.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from stablereward.policies.processor import ImageOnlyQwen3VLProcessor
from stablereward.policies.saving import make_portable
from stablereward.policies.tiny import CHAT_TEMPLATE, INITIALIZER_RANGE

PLACEHOLDER = "<|image_pad|>"
CLIP_IMAGE_SIZE = 56
CLIP_PATCH_SIZE = 14


def create_qwen3_vl(
    folder: Path, tokenizer: Any, *, seed: int = 0, hidden: int = 64, layers: int = 2
) -> None:
    """A Qwen3-VL: interleaved M-RoPE, and vision features fed into two layers (DeepStack).

    Hugging Face documentation: transformers/model_doc/qwen3_vl
    """
    head_size = 16
    config = Qwen3VLConfig(
        text_config={
            **_text_settings(tokenizer, hidden, layers),
            "head_dim": head_size,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [head_size // 4, head_size // 8, head_size // 8],
                "mrope_interleaved": True,
            },
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": hidden,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
            "initializer_range": INITIALIZER_RANGE,
        },
        image_token_id=tokenizer.convert_tokens_to_ids(PLACEHOLDER),
        video_token_id=tokenizer.convert_tokens_to_ids("<|video_pad|>"),
        vision_start_token_id=tokenizer.convert_tokens_to_ids("<|vision_start|>"),
        vision_end_token_id=tokenizer.convert_tokens_to_ids("<|vision_end|>"),
        tie_word_embeddings=True,
    )
    images = Qwen2VLImageProcessorPil(patch_size=16, min_pixels=32 * 32 * 4, max_pixels=32 * 32 * 64)
    processor = ImageOnlyQwen3VLProcessor(images, tokenizer, chat_template=CHAT_TEMPLATE)
    _save(folder, _random(Qwen3VLForConditionalGeneration, config, seed), processor)


def create_llava(folder: Path, tokenizer: Any, *, seed: int = 0, hidden: int = 64, layers: int = 2) -> None:
    """A LLaVA-1.5: a CLIP tower over squares of fixed size, before a Llama with plain positions.

    Hugging Face documentation: transformers/model_doc/llava
    """
    config = LlavaConfig(
        text_config=LlamaConfig(**_text_settings(tokenizer, hidden, layers)),
        vision_config=CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=3,
            num_attention_heads=2,
            image_size=CLIP_IMAGE_SIZE,
            patch_size=CLIP_PATCH_SIZE,
            projection_dim=32,
            initializer_factor=1.0,
        ),
        image_token_index=tokenizer.convert_tokens_to_ids(PLACEHOLDER),
        image_seq_length=(CLIP_IMAGE_SIZE // CLIP_PATCH_SIZE) ** 2,
    )
    side = {"height": CLIP_IMAGE_SIZE, "width": CLIP_IMAGE_SIZE}
    processor = LlavaProcessor(
        CLIPImageProcessorPil(size=side, crop_size=side),
        tokenizer,
        patch_size=CLIP_PATCH_SIZE,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
        image_token=PLACEHOLDER,
    )
    _save(folder, _random(LlavaForConditionalGeneration, config, seed), processor)


def create_llama(folder: Path, tokenizer: Any, *, seed: int = 0, hidden: int = 64, layers: int = 2) -> None:
    """A Llama that reads text only, with untied output weights."""
    config = LlamaConfig(**_text_settings(tokenizer, hidden, layers), tie_word_embeddings=False)
    _save(folder, _random(LlamaForCausalLM, config, seed), tokenizer)


def _text_settings(tokenizer: Any, hidden: int, layers: int) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "initializer_range": INITIALIZER_RANGE,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _random(make: Callable[[Any], Any], config: Any, seed: int) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make(config)
    model.generation_config.eos_token_id = [config.get_text_config().eos_token_id]
    model.generation_config.pad_token_id = config.get_text_config().pad_token_id
    return model


def _save(folder: Path, model: Any, processor: Any) -> None:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    make_portable(folder, model, model.generation_config.eos_token_id)
