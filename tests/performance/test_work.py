"""The work given to every side: exact lengths, real sizes, one reward."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Qwen2_5_VLForConditionalGeneration

from performance.device import Device
from performance.padded import padded, processor
from performance.work import SHAPES, Shape, config, create, fixed_rollouts, prompts_of, reward
from stablereward.policies import tiny
from stablereward.policies.published import SIZES


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    create(folder, "tiny", Device("cpu"))
    return folder


@pytest.mark.parametrize("shape", SHAPES.values(), ids=str)
def test_prompts_have_the_tokens_that_the_shape_says(shape: Shape, model: Path) -> None:
    batch = padded(processor(str(model)), prompts_of(shape, 2, seed=0), "cpu")
    assert batch["input_ids"].shape == (2, shape.prompt)
    assert batch["attention_mask"].all()
    image_tokens = batch["image_grid_thw"].prod(-1) // 4
    assert image_tokens.tolist() == [shape.image] * 2


def test_prompts_differ_and_repeat_with_the_seed() -> None:
    shape = SHAPES["150+64"]
    assert prompts_of(shape, 3, seed=1) == prompts_of(shape, 3, seed=1)
    assert len({q.text for q in prompts_of(shape, 20, seed=1)}) == 20


def test_a_prompt_too_short_for_its_image_is_refused() -> None:
    with pytest.raises(ValueError, match="no room"):
        prompts_of(Shape(prompt=20, completion=1, prompts=1, image=16), 1, seed=0)


def test_rewards_spread() -> None:
    values = [reward(f"answer {n}") for n in range(100)]
    assert 0 <= min(values) < 0.2 < 0.8 < max(values) < 1


def test_fixed_rollouts_have_the_shape_and_no_control_token() -> None:
    shape = Shape(prompt=30, completion=5, prompts=2, group=3)
    ids, advantages = fixed_rollouts(shape, seed=0)
    assert [len(row) for row in ids] == [5] * 6
    assert len(advantages) == 6
    assert min(min(row) for row in ids) >= len(tiny.SPECIAL_TOKENS)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny.train_tokenizer(tiny.toy_corpus(20))


@pytest.mark.parametrize(("size", "parameters"), [("3B", 3_754_622_976), ("7B", 8_292_166_656)])
def test_sizes_have_the_parameters_of_the_published_models(
    size: str, parameters: int, tokenizer: Any
) -> None:
    with torch.device("meta"):
        model = Qwen2_5_VLForConditionalGeneration(config(SIZES[size], tokenizer))
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_the_smallest_size_has_the_text_parameters_of_the_published_model(tokenizer: Any) -> None:
    with torch.device("meta"):
        model = Qwen2_5_VLForConditionalGeneration(config(SIZES["0.5B"], tokenizer))
    assert sum(p.numel() for p in model.model.language_model.parameters()) == 494_032_768


@pytest.mark.parametrize("size", SIZES)
def test_a_shrunk_model_is_of_the_same_kind(size: str, tokenizer: Any) -> None:
    whole, shrunk = config(SIZES[size], tokenizer), config(SIZES[size], tokenizer, Device("rehearsal").shrink)
    a, b = whole.text_config, shrunk.text_config
    for name in ("hidden_size", "intermediate_size", "vocab_size"):
        assert getattr(b, name) == getattr(a, name) // 8
    assert b.num_attention_heads * a.num_key_value_heads == a.num_attention_heads * b.num_key_value_heads
    assert shrunk.tie_word_embeddings == whole.tie_word_embeddings
    assert 0 < len(shrunk.vision_config.fullatt_block_indexes) < shrunk.vision_config.depth
    assert whole.vision_config.fullatt_block_indexes == [7, 15, 23, 31]
