"""Real classes at a random tiny size, in local folders."""

from pathlib import Path

import pytest
import torch
from transformers import CLIPConfig, CLIPModel

from stablereward.policies.tiny_diffusion import stable_diffusion, word_tokenizer
from stablereward.recipes.diffusion.pictures import ANIMALS

SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture(scope="session")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A StableDiffusionPipeline that knows animals."""
    folder: Path = tmp_path_factory.mktemp("generator")
    stable_diffusion(ANIMALS.split(), channels=3).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIPModel that knows animals."""
    folder: Path = tmp_path_factory.mktemp("clip")
    tokenizer = word_tokenizer(ANIMALS.split(), 8)
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    text = {**SIZES, **ids, "vocab_size": len(tokenizer), "max_position_embeddings": 8}
    torch.manual_seed(0)
    model = CLIPModel(
        CLIPConfig(
            text_config=text,
            vision_config={**SIZES, "image_size": 16, "patch_size": 4},
            projection_dim=12,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three prompts in a file."""
    path = tmp_path_factory.mktemp("prompts") / "prompts.txt"
    path.write_text("cat\n\ndog\nbee\n")
    return path
