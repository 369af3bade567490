"""A step says what the model says, for models that it knows; others are told apart."""

from pathlib import Path

import pytest
import torch
from torch import nn

from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.engines.token_step import TokenStep, agrees, looks_like_llama
from stablereward.policies.adapters import add_lora
from stablereward.policies.token import TokenPolicy
from tests.policies.families import ALL, VISION, make, prompts

SAMPLING = Sampling(num_generations=2, max_completion_length=5)


def axes(policy: TokenPolicy) -> int:
    return policy.encode(prompts(policy)[0]).positions_AP.shape[0]


@pytest.mark.parametrize("family", ALL)
@pytest.mark.parametrize("setting", ["plain", "lora", "bfloat16", "not joined"])
def test_every_family_is_stepped(
    family: str, setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make(family, tmp_path)
    if setting == "lora":
        add_lora(policy, rank=2)
        for name, parameter in policy.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(parameter, std=0.1)
    elif setting == "bfloat16":
        policy.compute_dtype = torch.bfloat16
    elif setting == "not joined":
        monkeypatch.setattr("stablereward.engines.token_step.JOINED_BYTES", 0)
    policy.eval()
    with policy.precision():
        assert looks_like_llama(policy.model.get_decoder()) and agrees(policy, axes(policy))


@pytest.mark.parametrize("family", VISION[:2])
def test_other_mathematics_under_the_same_names_is_noticed(family: str, tmp_path: Path) -> None:
    """Such as Gemma's norm, which multiplies by one more than its weight."""
    policy = make(family, tmp_path)
    norm = policy.model.get_decoder().layers[0].input_layernorm
    kind = type(norm)
    norm.__class__ = type("Other", (kind,), {"forward": lambda self, x: 2 * kind.forward(self, x)})
    assert looks_like_llama(policy.model.get_decoder()) and not agrees(policy, axes(policy))


def test_a_part_more_is_noticed(tmp_path: Path) -> None:
    text = make("llama", tmp_path).model.get_decoder()
    text.layers[0].self_attn.extra = nn.Identity()
    assert not looks_like_llama(text)


def test_the_engine_steps_with_the_weights_of_the_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make("llama", tmp_path)
    engine, made = HFEngine(policy), []
    start = TokenStep.__init__

    def counted(self: TokenStep, *arguments: object) -> None:
        made.append(self)
        start(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(TokenStep, "__init__", counted)
    first = engine.sample(prompts(policy), SAMPLING)
    assert len(made) == 2  # one to try whether it agrees
    with torch.no_grad():
        policy.model.get_decoder().layers[0].mlp.up_proj.weight.mul_(-3)
    assert engine.sample(prompts(policy), SAMPLING) != first
    assert len(made) == 3
