"""Tiny pipelines: real classes, a word a token, the same weights from the same seed."""

import torch
from diffusers import StableDiffusion3Pipeline, StableDiffusionPipeline

from stablereward.policies.tiny_diffusion import stable_diffusion, stable_diffusion_3, word_tokenizer

WORDS = ("two", "bright", "right", "bottom", "cross")


def test_every_word_is_one_token_and_others_are_spelt() -> None:
    tokenizer = word_tokenizer(WORDS, 8)
    assert all(len(tokenizer(word)["input_ids"]) == 3 for word in WORDS)
    assert tokenizer.convert_ids_to_tokens(tokenizer("bright right")["input_ids"])[1:3] == [
        "bright</w>",
        "right</w>",
    ]
    assert len(tokenizer("sit")["input_ids"]) > 3
    assert len(tokenizer("two " * 20, truncation=True)["input_ids"]) == 8


def test_the_classes_are_real_and_weights_follow_the_seed() -> None:
    first, again, other = (stable_diffusion(WORDS, seed=seed) for seed in (0, 0, 1))
    assert isinstance(first, StableDiffusionPipeline)
    pairs = zip(first.unet.parameters(), again.unet.parameters(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)
    assert not torch.equal(next(first.unet.parameters()), next(other.unet.parameters()))
    flow = stable_diffusion_3(WORDS, first.vae)
    assert isinstance(flow, StableDiffusion3Pipeline) and flow.text_encoder_3 is None
