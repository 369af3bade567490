"""Shapes alone tell how much memory a pass takes: byte by byte what the real one keeps."""

from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

from stablereward.policies.attention import arranged, arrangement_of, route
from stablereward.policies.checkpointing import checkpoint_layers
from stablereward.policies.tree import EncodedGroup, EncodedPrompt, Tree
from stablereward.training.footprint import Fused, Live, peak
from tests.training.saved import num_bytes, saved

META = torch.device("meta")
SHAPE = {
    "vocab_size": 100,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def test_bytes_come_and_go() -> None:
    given = torch.empty((4, 4), device=META)
    with Live() as live:
        one = given + 1
        two = one * 2
        assert live.now == 2 * 64
        del one
        assert live.now == 64
        two.t().add_(1)
    assert (live.now, live.peak) == (64, 128)


def test_a_layer_by_hand() -> None:
    with META:
        layer, rows = nn.Linear(8, 8, bias=False), torch.empty((2, 8), requires_grad=True)
    # The result and its sum; then the sum, its gradient, the weight's and the rows'.
    assert peak(lambda: layer(rows), halved=False, backward=False).bytes == 2 * 8 * 4 + 4
    assert peak(lambda: layer(rows), halved=False, backward=True) == ((1 + 1 + 8 * 8 + 2 * 8) * 4, 0)


def test_a_weight_has_one_copy_however_often_it_is_used() -> None:
    with META:
        layer, frozen = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False).requires_grad_(False)
        rows = torch.empty((2, 8))
    taken = peak(lambda: frozen(layer(layer(rows))), halved=True, backward=False)
    assert taken.copies == 8 * 8 * 2


def test_a_norm_is_taken_in_float32_under_autocast() -> None:
    with META:
        layer, norm = nn.Linear(8, 8, bias=False).requires_grad_(False), nn.GroupNorm(2, 8)
        rows = torch.empty((2, 8))
    with Fused(halved=True):
        assert (layer(rows).dtype, norm(layer(rows)).dtype) == (torch.bfloat16, torch.float32)


def kept(config: object, device: torch.device, group: int, *, checkpointing: bool, halved: bool) -> int:
    """Bytes that the forward pass of a tree keeps for the backward pass, without the weights."""
    with device:
        model = AutoModelForCausalLM.from_config(config)
    model.train()
    route(model)
    if checkpointing:
        checkpoint_layers(model)
    encoded = EncodedPrompt(
        input_ids_P=torch.zeros(20, dtype=torch.long), positions_AP=torch.arange(20)[None], media={}
    )
    tree = Tree.build([EncodedGroup(prompt=encoded, completions=((1,) * 10,) * group)] * 2, 0)
    arrangement = arrangement_of(tree)
    tensors = {f.name: getattr(arrangement, f.name) for f in fields(arrangement)}  # type: ignore[arg-type]
    moved = {name: value.to(device) for name, value in tensors.items() if isinstance(value, Tensor)}
    attention = arranged(replace(arrangement, **moved), device)  # type: ignore[type-var]
    on_meta = device.type == "meta"
    precision = Fused(halved=halved) if on_meta else torch.autocast("cpu", torch.bfloat16, enabled=halved)
    with precision, saved(model) as found:
        out = model.get_decoder()(
            input_ids=tree.input_ids_RL.to(device),
            position_ids=tree.positions_ARL[0].to(device),
            use_cache=False,
            **attention,
        ).last_hidden_state
    assert out.requires_grad
    return num_bytes(found)


@pytest.mark.parametrize("halved", [False, True], ids=["float32", "autocast"])
@pytest.mark.parametrize("checkpointing", [False, True], ids=["all", "checkpointing"])
@pytest.mark.parametrize("group", [1, 4])
@pytest.mark.parametrize("family", [Qwen2Config, LlamaConfig], ids=["Qwen2", "Llama"])
def test_shapes_keep_exactly_what_numbers_keep(
    family: type, group: int, checkpointing: bool, halved: bool
) -> None:
    on_cpu, on_meta = (
        kept(family(**SHAPE), device, group, checkpointing=checkpointing, halved=halved)
        for device in (torch.device("cpu"), META)
    )
    assert on_cpu == on_meta > 0
