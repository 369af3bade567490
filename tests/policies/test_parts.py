"""Every parameter belongs to one part, whatever the family calls its layers."""

from pathlib import Path

import pytest
import torch

from stablereward.errors import ConfigError
from stablereward.policies.adapters import add_lora
from stablereward.policies.parts import freeze, grad_norms, part_of, trained_parts
from stablereward.policies.scalar import ScalarModel
from stablereward.policies.value_head import add_value_head
from tests.policies.families import ALL, VISION, groups, make


@pytest.mark.parametrize("family", ALL)
def test_the_parts_make_up_the_policy(family: str, tmp_path: Path) -> None:
    policy = make(family, tmp_path)
    parts = trained_parts(policy)
    assert set(parts) == ({"vision", "projector", "language"} if family in VISION else {"language"})
    assert sum(len(part) for part in parts.values()) == len(list(policy.parameters()))
    language = {id(p) for p in policy.model.get_decoder().parameters()}
    language |= {id(p) for p in policy.model.get_output_embeddings().parameters()}
    assert {id(p) for p in parts["language"]} == language


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("model.model.visual.merger.mlp.0.weight", "projector"),
        ("model.model.visual.deepstack_merger_list.0.norm.weight", "projector"),
        ("model.model.multi_modal_projector.linear_1.bias", "projector"),
        ("model.model.visual.blocks.0.attn.qkv.weight", "vision"),
        ("model.model.vision_tower.vision_model.embeddings.weight", "vision"),
        ("model.model.language_model.layers.0.self_attn.q_proj.lora_A.default.weight", "language"),
        ("model.lm_head.weight", "language"),
        ("value_head.out.weight", "value"),
    ],
)
def test_a_name_says_the_part(name: str, part: str) -> None:
    assert part_of(name) == part


def test_norms_by_part_add_up_to_the_norm(tmp_path: Path) -> None:
    policy = make("qwen2_5_vl", tmp_path)
    add_value_head(policy)
    parts = trained_parts(policy)
    policy(policy.tree(groups(policy))).logprobs_BT.sum().backward()
    norms = grad_norms(parts)
    assert norms["grad_norm/value"] == 0.0 and all(norms[f"grad_norm/{p}"] > 0 for p in parts if p != "value")
    whole = torch.nn.utils.clip_grad_norm_(policy.parameters(), 1e9)
    assert sum(norm**2 for norm in norms.values()) ** 0.5 == pytest.approx(float(whole), rel=1e-5)


def test_with_adapters_only_they_are_trained(tmp_path: Path) -> None:
    policy = make("llava", tmp_path)
    add_lora(policy)
    assert set(trained_parts(policy)) == {"language"}


def test_a_frozen_part_does_not_learn_and_one_that_is_not_there_is_named(tmp_path: Path) -> None:
    make("llava", tmp_path)
    model = ScalarModel.start(tmp_path, device="cpu")
    freeze(model, ("vision", "projector"))
    assert set(trained_parts(model)) == {"language", "head"}
    make("llama", tmp_path / "text")
    with pytest.raises(ConfigError, match="frozen: the model has no vision part; there are head, language"):
        freeze(ScalarModel.start(tmp_path / "text", device="cpu"), ("vision",))
