"""Reward-model training in this process: shared and alone do the same, at the lengths that the shape says."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from performance.device import Device
from performance.reward_model import text_model
from performance.side_reward import Reward
from performance.work import Job, Shape, create

SHAPE = Shape(prompt=30, completion=6, prompts=2, group=3)


def require_equal(job: Job, folder: Path) -> None:
    found, told = [], []
    for side in ("reward/shared", "reward/alone"):
        worker = Reward(replace(job, side=side))
        told.append(worker.answer({"do": "gradient", "file": str(folder / "gradient")}))
        found.append(load_file(folder / "gradient"))
    assert told[0]["lengths"] == told[1]["lengths"] == [job.shape.prompt + job.shape.completion]
    assert told[0]["loss"] == pytest.approx(told[1]["loss"], abs=1e-6)
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], atol=1e-6, rtol=1e-3, msg=name)


def test_text(tmp_path: Path) -> None:
    with text_model() as model:
        require_equal(Job(side="", shape=SHAPE, model=model, fresh=1), tmp_path)


def test_an_image_in_the_question(tmp_path: Path) -> None:
    create(tmp_path / "model", "tiny", Device("cpu"))
    shape = replace(SHAPE, image=4)
    require_equal(Job(side="", shape=shape, model=str(tmp_path / "model"), fresh=1), tmp_path)


def test_a_step_takes_questions_that_none_has_seen() -> None:
    with text_model() as model:
        worker = Reward(Job(side="reward/shared", shape=SHAPE, model=model, fresh=2))
        first, second = (worker.answer({"do": "step"}) for _ in range(2))
    assert first["loss"] != second["loss"] and first["step"] > 0
    with pytest.raises(StopIteration):
        worker.answer({"do": "step"})
