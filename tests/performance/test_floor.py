"""Operations and bytes counted by hand for a model of one layer."""

import json
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from performance.device import Device
from performance.floor import Cost, Model, Rates, count, measure
from performance.work import Shape, create
from stablereward.policies.token import TokenPolicy
from stablereward.types import Prompt

RATES = Rates(model_flops=100.0, large_flops=200.0, bandwidth=10.0)


@pytest.mark.parametrize(("flops", "moved", "seconds"), [(500.0, 10.0, 5.0), (500.0, 80.0, 8.0)])
def test_the_floor_is_the_longer_of_computing_and_moving(flops: float, moved: float, seconds: float) -> None:
    assert Cost(flops=flops, bytes=moved).seconds(RATES) == seconds


def test_a_text_layer_by_hand(tmp_path: Path) -> None:
    text = {
        "hidden_size": 4,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "vocab_size": 10,
    }
    (tmp_path / "config.json").write_text(json.dumps({"text_config": text, "vision_config": {}}))
    model = Model(str(tmp_path), width=4)
    # Queries and output 4·4 each, keys and values 4·2 each, three of 4·8 in the MLP.
    assert model.layer_weights == 2 * 16 + 2 * 8 + 3 * 32
    shape = Shape(prompt=6, completion=3, prompts=2, group=5)
    assert model.reading(shape) == 2 * (2 * 6 * 144 + 4 * 18 * 4)
    assert model.writing(shape) == 10 * (2 * 2 * 144 + 2 * 3 * 40 + 4 * (18 + 4.5) * 4)
    # Three times the weights, five samples' own 1.5 tokens on average, two prompts; 4 numbers a token.
    assert model.rollout(shape).bytes == 3 * (144 + 40 + 10 * 1.5 * 4 + 2 * 6 * 4) * 4
    assert model.update(shape, parameters=200).bytes == 7 * 4 * 200


def test_counted_operations_are_those_that_torch_counts(tmp_path: Path) -> None:
    """Reading one text prompt: matrix products to the operation, attention without its causal half."""
    create(tmp_path, "tiny", Device("cpu"))
    policy = TokenPolicy.load(tmp_path, device="cpu")
    encoded = policy.encode(Prompt.user(text="a a a a a a"))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        policy.model.model(input_ids=encoded.input_ids_P[None], use_cache=False)
    shape = Shape(prompt=encoded.num_tokens, completion=1, prompts=1, group=1)
    model = Model(str(tmp_path), width=4)
    weights = 2.0 * shape.prompt * model.text_weights
    assert weights <= counter.get_total_flops() <= weights + 2 * model.attention(shape.prompt**2)
    assert weights < model.reading(shape) < weights + model.attention(shape.prompt**2)


def test_parameters_and_rates_are_of_the_folder_and_the_machine(tmp_path: Path) -> None:
    create(tmp_path, "tiny", Device("cpu"))
    policy = TokenPolicy.load(tmp_path, device="cpu")
    assert count(str(tmp_path)) == sum(p.numel() for p in policy.parameters())
    rates = measure(Device("cpu"), str(tmp_path))
    assert min(rates.model_flops, rates.large_flops, rates.bandwidth) > 1e6
