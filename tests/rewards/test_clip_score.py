"""CLIP's cosine, with the gradient to the picture that the model itself has."""

from pathlib import Path

import pytest
import torch
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

from stablereward.errors import ModelError
from stablereward.policies.diffusion import image_of
from stablereward.policies.tiny_diffusion import word_tokenizer
from stablereward.rewards.clip_score import MEAN, STD, ClipScore
from stablereward.types import Prompt

PROMPTS = [Prompt.user(text="one disc"), Prompt.user(text="two cross")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random tiny CLIP in a folder."""
    tokenizer = word_tokenizer(("one", "two", "disc", "cross"), 8)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ids = {f"{n}_token_id": getattr(tokenizer, f"{n}_token_id") for n in ("bos", "eos", "pad")}
    torch.manual_seed(0)
    model = CLIPModel(
        CLIPConfig(
            text_config={**sizes, **ids, "vocab_size": len(tokenizer), "max_position_embeddings": 8},
            vision_config={**sizes, "image_size": 8, "patch_size": 4},
            projection_dim=12,
        )
    )
    made: Path = tmp_path_factory.mktemp("clip")
    model.save_pretrained(made)
    tokenizer.save_pretrained(made)
    return made


def test_the_score_is_the_models_own_cosine(folder: Path) -> None:
    score = ClipScore(folder, torch.device("cpu"))
    pictures = (torch.randint(0, 256, (2, 3, 8, 8)) / 127.5) - 1
    found = score(PROMPTS, pictures)
    images = CLIPImageProcessorPil(do_resize=False, do_center_crop=False, image_mean=MEAN, image_std=STD)
    pixels = images([image_of(p).resize((8, 8), 0) for p in pictures], return_tensors="pt").pixel_values
    for place, prompt in enumerate(PROMPTS):
        ids = score.tokenizer(prompt.text, return_tensors="pt")
        said = score.model(**ids, pixel_values=pixels[place : place + 1])
        assert float(found[place]) == pytest.approx(
            float(said.logits_per_image[0, 0] / score.model.logit_scale.exp()), abs=1e-5
        )


def test_grey_pictures_of_any_size_have_a_gradient_and_the_model_has_none(folder: Path) -> None:
    score = ClipScore(folder, torch.device("cpu"))
    pictures = torch.zeros(2, 1, 16, 16, requires_grad=True)
    score(PROMPTS, pictures).sum().backward()
    assert pictures.grad is not None and pictures.grad.abs().sum() > 0
    assert all(p.grad is None for p in score.model.parameters())


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=str(tmp_path)):
        ClipScore(tmp_path, torch.device("cpu"))
