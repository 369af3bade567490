"""Tiny pipelines: the classes of Stable Diffusion 1.5 and 3 from small configs, loaded as downloaded ones."""

import json
from collections.abc import Sequence
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

START, END, UNKNOWN = "<|startoftext|>", "<|endoftext|>", "<|unknown|>"


def stable_diffusion(
    words: Sequence[str],
    *,
    size: int = 16,
    channels: int = 1,
    widths: tuple[int, ...] = (16, 32),
    text_width: int = 32,
    length: int = 8,
    seed: int = 0,
) -> StableDiffusionPipeline:
    """A random pipeline for pictures of `size` pixels; latents are half as large.

    Each of `words` becomes one token, and a prompt has at most `length` with its start and end. The
    scheduler is Stable Diffusion's own schedule of noise in DDIM.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = word_tokenizer(words, length)
        text_encoder = _text_encoder(tokenizer, text_width, length)
        vae = AutoencoderKL(
            in_channels=channels,
            out_channels=channels,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            block_out_channels=(8, 16),
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=4,
            sample_size=size,
            mid_block_add_attention=False,
        )
        unet = UNet2DConditionModel(
            sample_size=size // 2,
            in_channels=4,
            out_channels=4,
            down_block_types=("CrossAttnDownBlock2D",) * len(widths),
            up_block_types=("CrossAttnUpBlock2D",) * len(widths),
            block_out_channels=widths,
            layers_per_block=1,
            cross_attention_dim=text_width,
            attention_head_dim=2,
            norm_num_groups=8,
        )
    return StableDiffusionPipeline(
        vae=vae.eval(),
        text_encoder=text_encoder.eval(),
        tokenizer=tokenizer,
        unet=unet.eval(),
        scheduler=ddim(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _text_encoder(tokenizer: Any, width: int, length: int, kind: Any = CLIPTextModel) -> Any:
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        projection_dim=width,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return kind(config)


def stable_diffusion_3(words: Sequence[str], vae: Any, *, length: int = 8, seed: int = 0) -> Any:
    """A random pipeline of version 3's classes around a decoder: a transformer of a rectified flow."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer, width = word_tokenizer(words, length), 32
        transformer = SD3Transformer2DModel(
            sample_size=vae.config.sample_size // 2,
            patch_size=1,
            in_channels=vae.config.latent_channels,
            out_channels=vae.config.latent_channels,
            num_layers=3,
            attention_head_dim=16,
            num_attention_heads=4,
            joint_attention_dim=2 * width,
            caption_projection_dim=4 * 16,
            pooled_projection_dim=2 * width,
            pos_embed_max_size=vae.config.sample_size // 2,
        )
        readers = [_text_encoder(tokenizer, width, length, CLIPTextModelWithProjection) for _ in range(2)]
    return StableDiffusion3Pipeline(
        transformer=transformer.eval(),
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae.eval(),
        text_encoder=readers[0].eval(),
        tokenizer=tokenizer,
        text_encoder_2=readers[1].eval(),
        tokenizer_2=tokenizer,
        text_encoder_3=None,
        tokenizer_3=None,
    )


def ddim() -> DDIMScheduler:
    """Stable Diffusion 1.5's schedule of noise."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def word_tokenizer(words: Sequence[str], length: int) -> Any:
    """CLIP's tokenizer with a vocabulary of letters and whole words."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    letters = sorted({letter for word in words for letter in word})
    trainer = trainers.BpeTrainer(
        vocab_size=10_000,
        end_of_word_suffix="</w>",
        special_tokens=[START, END, UNKNOWN],
        initial_alphabet=letters,
        show_progress=False,
    )
    tokenizer.train_from_iterator(words, trainer)
    trained = json.loads(tokenizer.to_str())["model"]
    return CLIPTokenizer(
        vocab=trained["vocab"],
        merges=[tuple(pair) for pair in trained["merges"]],
        bos_token=START,
        eos_token=END,
        unk_token=UNKNOWN,
        pad_token=END,
        model_max_length=length,
    )
