"""Ours and the plain loop in this process: equal gradients, equal numbers of tokens."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from performance.device import Device
from performance.side_ours import Ours
from performance.side_plain import Plain
from performance.work import Job, Shape, create

SHAPE = Shape(prompt=30, completion=3, prompts=2, group=2, image=4)


@pytest.fixture
def both(tmp_path: Path) -> tuple[Ours, Plain]:
    create(tmp_path, "tiny", Device("cpu"))
    ours, plain = (Job(side=s, shape=SHAPE, model=str(tmp_path), micro_batch=3) for s in ("ours", "plain"))
    return Ours(ours), Plain(plain)


def test_gradients_are_equal(both: tuple[Ours, Plain], tmp_path: Path) -> None:
    found = []
    for number, side in enumerate(both):
        side.answer({"do": "gradient", "file": str(tmp_path / f"{number}.safetensors")})
        found.append(load_file(tmp_path / f"{number}.safetensors"))
    ours, plain = found
    assert ours.keys() == plain.keys()
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, plain[name], rtol=1e-3, atol=1e-6, msg=name)


def test_steps_write_every_token_and_time_their_phases(both: tuple[Ours, Plain]) -> None:
    for side in both:
        answer = side.answer({"do": "step"})
        assert answer["tokens"] == SHAPE.samples * SHAPE.completion
        assert 0 < answer["rollout"] + answer["update"] <= answer["step"]
        assert side.answer({"do": "step", "memory": True})["bytes_peak"] > 0
        assert side.answer({"do": "sft"})["tokens"] == SHAPE.prompts * SHAPE.completion


def test_votes_write_every_token(both: tuple[Ours, Plain]) -> None:
    request = {"do": "judge", "votes": 3, "pairs": 2, "seed": 0, "toy": False, "one_by_one": False}
    for side in both:
        assert side.answer(request)["tokens"] == 3 * 2 * SHAPE.completion
        assert 0 < side.answer(request | {"toy": True})["tokens"] <= 3 * 2 * SHAPE.completion
    assert both[1].answer(request | {"one_by_one": True})["tokens"] == 3 * 2 * SHAPE.completion


def test_no_token_stops_a_sample_and_no_prompt_comes_twice(both: tuple[Ours, Plain]) -> None:
    ours, plain = both
    assert ours.policy.stop_ids == [-1]
    first = ours.prompts[SHAPE.prompts].text
    ours.answer({"do": "step"})
    assert ours.collector.last is not None
    assert ours.collector.last.groups[0].prompt.text == first
    assert plain._next_prompts()[0] != plain._next_prompts()[0]
