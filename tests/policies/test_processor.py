import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig

from stablereward.errors import ModelError
from stablereward.policies.processor import load_processor
from stablereward.policies.shipped import model_folder
from stablereward.policies.token import TokenPolicy
from stablereward.training.outline import read_config
from stablereward.training.planning import without_weights
from tests.policies.families import VISION, make, picture


@pytest.mark.parametrize("family", VISION)
def test_images_go_through_pillow_and_videos_are_left_out(family: str, tmp_path: Path) -> None:
    make(family, tmp_path)
    processor = load_processor(tmp_path, AutoConfig.from_pretrained(tmp_path).model_type)
    assert type(processor.image_processor).__name__.endswith("Pil")
    assert getattr(processor, "video_processor", None) is None


@pytest.mark.parametrize("family", VISION)
def test_a_loaded_processor_does_what_the_saved_one_did(family: str, tmp_path: Path) -> None:
    policy = make(family, tmp_path)
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]}]
    policy.processor.save_pretrained(tmp_path / "again")
    loaded = load_processor(tmp_path / "again", policy.model.config.model_type)
    text = policy.processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    assert loaded.apply_chat_template(chat, add_generation_prompt=True, tokenize=False) == text
    first, second = (
        p(text=[text], images=[picture(100, 60)], return_tensors="pt") for p in (policy.processor, loaded)
    )
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    num_placeholders = int((first["input_ids"] == policy.model.config.image_token_id).sum())
    grid = first["image_grid_thw"].prod() // 4 if "image_grid_thw" in first else 4 * 4
    assert num_placeholders == int(grid) > 1


def test_a_text_model_has_a_tokenizer_alone(tmp_path: Path) -> None:
    make("llama", tmp_path)
    tokenizer = load_processor(tmp_path, "llama")
    assert tokenizer.decode(tokenizer("Which?")["input_ids"]) == "Which?"


@pytest.mark.parametrize("content", ["null", "[1]", "1", '"x"', "{", ""])
@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "generation_config.json",
        "processor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ],
)
def test_a_damaged_file_of_a_model_is_a_model_error_or_does_not_matter(
    name: str, content: str, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_folder("toy"), folder)
    (folder / name).write_text(content)
    for load in (
        lambda: TokenPolicy.load(folder, device="cpu"),
        lambda: without_weights(*read_config(folder)),
    ):
        try:
            load()
        except ModelError as error:
            assert str(error).startswith(str(folder)) and "\n" not in str(error)
