"""What a saved folder says, name by name. `make loaders` loads such folders in both releases."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, StableLmConfig, StableLmForCausalLM

from stablereward.policies import tiny, tiny_families
from stablereward.policies.saving import make_portable
from stablereward.policies.token import TokenPolicy
from tests.policies.families import make, tokenizer

END = tokenizer().eos_token_id


def said(folder: Path, name: str = "config") -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return read


def saved(family: str, folder: Path, **rope: Any) -> Path:
    """A policy of the family with these rotary settings, saved by itself."""
    policy = make(family, folder / "made")
    policy.model.config.get_text_config().rope_parameters.update(rope)
    policy.save(folder / "saved")
    return folder / "saved"


def test_the_rotary_base_has_both_names(tmp_path: Path) -> None:
    config = said(saved("llama", tmp_path, rope_theta=500_000.0))
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 500_000.0
    assert config["rope_scaling"] is None


def test_scaled_positions_are_the_older_scaling(tmp_path: Path) -> None:
    config = said(saved("llama", tmp_path, rope_type="linear", factor=4.0))
    assert config["rope_scaling"] == {"rope_type": "linear", "factor": 4.0}
    assert config["rope_theta"] == 10_000.0


def test_the_sections_of_a_vision_language_model_are_there(tmp_path: Path) -> None:
    folder = saved("qwen3_vl", tmp_path, rope_theta=500_000.0)
    text = said(folder)["text_config"]
    assert text["rope_theta"] == 500_000.0
    assert text["rope_scaling"] == {
        "rope_type": "default",
        "mrope_section": [4, 2, 2],
        "mrope_interleaved": True,
    }
    again = TokenPolicy.load(folder, device="cpu").model.config.text_config
    assert again.rope_parameters == text["rope_parameters"]


def test_a_part_of_the_head_that_turns_keeps_its_name_outside_too(tmp_path: Path) -> None:
    folder, model = tmp_path, stable_lm()
    model.save_pretrained(folder)
    make_portable(folder, model, [END])
    assert said(folder)["partial_rotary_factor"] == 0.5
    assert said(folder)["rope_scaling"] is None
    again = AutoModelForCausalLM.from_pretrained(folder).config
    assert again.rope_parameters == model.config.rope_parameters


def stable_lm() -> Any:
    settings = {**tiny_families._text_settings(tokenizer(), 32, 1), "partial_rotary_factor": 0.5}
    return StableLmForCausalLM(StableLmConfig(**settings))


@pytest.mark.parametrize("tied", [True, False])
def test_whether_the_head_is_tied_stands_at_both_levels(tied: bool, tmp_path: Path) -> None:
    config = tiny.qwen2_5_vl(tokenizer(), hidden=32, layers=1).config
    config.tie_word_embeddings = tied
    model = type(tiny.qwen2_5_vl(tokenizer(), hidden=32, layers=1))(config)
    model.save_pretrained(tmp_path)
    make_portable(tmp_path, model, [END])
    assert said(tmp_path)["tie_word_embeddings"] is tied
    assert said(tmp_path)["text_config"]["tie_word_embeddings"] is tied


def test_the_number_type_has_both_names(tmp_path: Path) -> None:
    make("llava", tmp_path / "made")
    TokenPolicy.load(tmp_path / "made", device="cpu", dtype=torch.bfloat16).save(tmp_path / "saved")
    config = said(tmp_path / "saved")
    for part in (config, config["text_config"], config["vision_config"]):
        assert part["dtype"] == part["torch_dtype"] == "bfloat16"


def test_a_tokenizer_names_a_class_that_both_have(tmp_path: Path) -> None:
    settings = said(saved("llama", tmp_path), "tokenizer_config")
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert "extra_special_tokens" not in settings
    assert settings["additional_special_tokens"] == list(tiny.SPECIAL_TOKENS[1:])


def test_a_tokenizer_class_of_its_own_is_left_alone(tmp_path: Path) -> None:
    policy = make("llama", tmp_path / "made")
    own = tmp_path / "made/tokenizer_config.json"
    own.write_text(
        json.dumps({**said(tmp_path / "made", "tokenizer_config"), "tokenizer_class": "Qwen2Tokenizer"})
    )
    policy.save(tmp_path / "saved")
    assert said(tmp_path / "saved", "tokenizer_config")["tokenizer_class"] == "Qwen2Tokenizer"


@pytest.mark.parametrize("family", ["qwen2_5_vl", "llava"])
def test_images_and_the_rest_of_a_processor_have_files_of_their_own(family: str, tmp_path: Path) -> None:
    folder = saved(family, tmp_path)
    assert "image_processor" not in said(folder, "processor_config")
    images = said(folder, "preprocessor_config")
    assert images["image_processor_type"].endswith("ImageProcessor")
    processor = TokenPolicy.load(folder, device="cpu").processor
    assert (
        processor.image_processor.size == TokenPolicy.load(tmp_path / "made").processor.image_processor.size
    )
    if family == "llava":
        assert said(folder, "processor_config")["patch_size"] == tiny_families.CLIP_PATCH_SIZE
        assert images["size"] == {
            "height": tiny_families.CLIP_IMAGE_SIZE,
            "width": tiny_families.CLIP_IMAGE_SIZE,
        }


def tower_names(folder: Path) -> list[str]:
    names = []
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as weights:
            names += [name for name in weights.keys() if "vision_tower" in name]  # noqa: SIM118
    return names


def test_a_clip_tower_is_named_as_in_published_files(tmp_path: Path) -> None:
    policy = make("llava", tmp_path / "made")
    policy.save(tmp_path / "saved")
    names = tower_names(tmp_path / "saved")
    assert names and all(name.startswith("vision_tower.vision_model.") for name in names)
    again = TokenPolicy.load(tmp_path / "saved", device="cpu")
    # What was read under the published names is written under them, once.
    again.save(tmp_path / "twice")
    assert sorted(tower_names(tmp_path / "twice")) == sorted(names)
    for name, weight in policy.model.state_dict().items():
        assert torch.equal(weight, again.model.state_dict()[name])


def test_the_index_of_several_weight_files_has_the_same_names(tmp_path: Path) -> None:
    model = make("llava", tmp_path / "made").model
    model.save_pretrained(tmp_path / "made", max_shard_size="50KB")
    (tmp_path / "made/model.safetensors").unlink()
    # The names that a model made in code has.
    files = sorted((tmp_path / "made").glob("*.safetensors"))
    index = tmp_path / "made/model.safetensors.index.json"
    plain = index.read_text().replace("vision_tower.vision_model.", "vision_tower.")
    index.write_text(plain)
    for file in files:
        weights = {name.replace(".vision_model", ""): weight for name, weight in load_file(file).items()}
        save_file(weights, file, {"format": "pt"})
    assert len(files) > 1
    make_portable(tmp_path / "made", model, [END])
    assert sorted(json.loads(index.read_text())["weight_map"]) == sorted(
        name for file in files for name in load_file(file)
    )
    again = TokenPolicy.load(tmp_path / "made", device="cpu").model.state_dict()
    assert all(torch.equal(weight, again[name]) for name, weight in model.state_dict().items())


def test_servers_and_generate_find_nothing_that_changes_a_distribution(tmp_path: Path) -> None:
    policy = make("llama", tmp_path / "made")
    own = policy.model.generation_config
    own.repetition_penalty, own.temperature, own.top_k, own.top_p = 1.05, 1e-6, 1, 0.8
    own.max_new_tokens, own.do_sample = 7, True
    policy.save(tmp_path / "saved")
    assert said(tmp_path / "saved", "generation_config") == {
        "bos_token_id": None,
        "do_sample": True,
        "eos_token_id": [END],
        "pad_token_id": tokenizer().pad_token_id,
        "temperature": 1.0,
        "top_k": len(tokenizer()),
        "top_p": 1.0,
    }
    assert own.repetition_penalty == 1.05  # the live model is left alone


@pytest.mark.parametrize("family", ["llama", "qwen2_5_vl"])
def test_generate_samples_from_every_token(family: str, tmp_path: Path) -> None:
    model = TokenPolicy.load(saved(family, tmp_path), device="cpu").model
    start = torch.tensor([[END]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = model.generate(
            start,
            attention_mask=torch.ones_like(start),
            max_new_tokens=1,
            output_scores=True,
            output_logits=True,
            return_dict_in_generate=True,
        )
    assert torch.equal(out.scores[0], out.logits[0])


@pytest.mark.parametrize("family", ["llama", "qwen2_5_vl"])
def test_the_tokens_that_end_a_completion_are_the_ones_saved(family: str, tmp_path: Path) -> None:
    policy = make(family, tmp_path / "made")
    other = policy.tokenizer.pad_token_id
    # As in a base model's files: they end with another token than a turn of the chat template.
    policy.model.generation_config.eos_token_id = other
    policy.tokenizer.eos_token = policy.tokenizer.pad_token
    policy = TokenPolicy(policy.model, policy.processor, policy.source)
    assert policy.stop_ids == [END, other]
    policy.save(tmp_path / "saved")
    assert said(tmp_path / "saved", "generation_config")["eos_token_id"] == [END, other]
    config = said(tmp_path / "saved")
    assert config.get("text_config", config)["eos_token_id"] == [END, other]
    again = TokenPolicy.load(tmp_path / "saved", device="cpu")
    assert again.stop_ids == [END, other] and again.end_id == END


def test_a_family_that_was_not_tried_says_which_release_it_needs(tmp_path: Path) -> None:
    model = stable_lm()
    model.save_pretrained(tmp_path)
    make_portable(tmp_path, model, [END])
    assert "(stablelm)" in (tmp_path / "README.md").read_text()
    assert "transformers 5.16 or newer" in (tmp_path / "README.md").read_text()
    assert not (saved("llama", tmp_path / "known") / "README.md").exists()


@pytest.mark.parametrize("name", ["toy", "toy-base"])
def test_the_models_in_the_box_are_saved_so(name: str, tmp_path: Path) -> None:
    policy = TokenPolicy.load(name, device="cpu")
    policy.save(tmp_path)
    for file in sorted(policy.source.iterdir()):
        if file.suffix == ".json":
            now, then = said(tmp_path, file.stem), said(policy.source, file.stem)
            # Who wrote it, and what new weights start from: transformers 5.16 has that in text_config.
            for config in (now, then):
                config.pop("transformers_version", None), config.pop("initializer_range", None)
            assert now == then, file.name
        else:
            assert (tmp_path / file.name).read_bytes() == file.read_bytes(), file.name
