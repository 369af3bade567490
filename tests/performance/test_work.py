"""The work given to every side: exact lengths, real sizes, one reward."""

from pathlib import Path

import pytest
import torch
from transformers import Qwen2_5_VLForConditionalGeneration

from performance.padded import padded, processor
from performance.work import SHAPES, SIZES, Job, Shape, config, create, fixed_rollouts, questions, reward
from stablereward.policies import tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    create(folder, "tiny")
    return folder


@pytest.mark.parametrize("shape", SHAPES.values(), ids=str)
def test_prompts_have_the_tokens_that_the_shape_says(shape: Shape, model: Path) -> None:
    batch = padded(processor(str(model)), questions(shape, 2, seed=0), "cpu")
    assert batch["input_ids"].shape == (2, shape.prompt)
    assert batch["attention_mask"].all()
    image_tokens = batch["image_grid_thw"].prod(-1) // 4
    assert image_tokens.tolist() == [shape.image] * 2


def test_prompts_differ_and_repeat_with_the_seed() -> None:
    shape = SHAPES["150+64"]
    assert questions(shape, 3, seed=1) == questions(shape, 3, seed=1)
    assert len({q.text for q in questions(shape, 20, seed=1)}) == 20


def test_a_prompt_too_short_for_its_image_is_refused() -> None:
    with pytest.raises(ValueError, match="no room"):
        questions(Shape(prompt=20, completion=1, prompts=1, image=16), 1, seed=0)


def test_rewards_spread() -> None:
    values = [reward(f"answer {n}") for n in range(100)]
    assert 0 <= min(values) < 0.2 < 0.8 < max(values) < 1


def test_fixed_rollouts_have_the_shape_and_no_control_token() -> None:
    shape = Shape(prompt=30, completion=5, prompts=2, group=3)
    ids, advantages = fixed_rollouts(shape, seed=0)
    assert [len(row) for row in ids] == [5] * 6
    assert len(advantages) == 6
    assert min(min(row) for row in ids) >= len(tiny.SPECIAL_TOKENS)


@pytest.mark.parametrize(("size", "billions"), [("3B", 3.75), ("7B", 8.29)])
def test_sizes_have_the_parameters_of_the_published_models(size: str, billions: float) -> None:
    tokenizer = tiny.train_tokenizer(tiny.toy_corpus(20))
    with torch.device("meta"):
        model = Qwen2_5_VLForConditionalGeneration(config(SIZES[size], tokenizer))
    assert sum(p.numel() for p in model.parameters()) / 1e9 == pytest.approx(billions, abs=0.01)


def test_a_job_survives_the_way_to_its_worker() -> None:
    job = Job(side="ours", shape=SHAPES["30+29"], model="folder")
    assert Job.of(job.to_dict()) == job
