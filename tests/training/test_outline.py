"""A model's shapes without its numbers."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from stablereward.errors import ModelError
from stablereward.policies import tiny
from stablereward.policies.adapters import add_lora
from stablereward.policies.checkpointing import checkpoint_layers
from stablereward.policies.token import TokenPolicy
from stablereward.training import footprint
from stablereward.training.outline import Outline, read_config
from tests.training.saved import num_bytes, saved


@pytest.mark.parametrize("rank", [None, 4])
def test_parameters_are_those_of_the_loaded_model(rank: int | None) -> None:
    policy = TokenPolicy.load("toy", device="cpu")
    if rank is not None:
        add_lora(policy, rank=rank)
    outline = Outline(read_config("toy")[1], rank=rank)
    assert {n: p.shape for n, p in outline.model.named_parameters()} == {
        n: p.shape for n, p in policy.model.named_parameters()
    }
    assert outline.num_parameters() == sum(p.numel() for p in policy.model.parameters())
    trained = [p.numel() for p in policy.model.parameters() if p.requires_grad]
    assert (outline.num_parameters(trained=True), outline.largest()) == (sum(trained), max(trained))
    assert outline.patches_per_token() == 4


def test_half_the_bytes() -> None:
    outline = Outline(read_config("toy")[1], half=True)
    assert {p.dtype for p in outline.parameters()} == {torch.bfloat16}


def test_a_model_that_is_not_here_says_what_to_download() -> None:
    with pytest.raises(ModelError, match=r"hf download nobody/nothing config\.json"):
        read_config("nobody/nothing")


@pytest.mark.parametrize(
    ("name", "num_parameters"),
    [
        ("Qwen/Qwen2.5-VL-7B-Instruct", 8_292_166_656),
        ("Qwen/Qwen2.5-Math-7B", 7_615_616_512),
        ("huggyllama/llama-7b", 6_738_415_616),
        ("meta-llama/Meta-Llama-3-8B", 8_030_261_248),
        ("meta-llama/Llama-3.1-70B-Instruct", 70_553_706_496),
        ("HuggingFaceH4/mistral-7b-sft-beta", 7_241_732_096),
        ("EleutherAI/pythia-410m-seed1", 405_334_016),
    ],
)
def test_what_papers_begin_from_has_its_published_size(name: str, num_parameters: int) -> None:
    folder, config = read_config(name)
    assert Outline(config).num_parameters() == num_parameters
    assert not folder.exists()


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model here"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "no_such_family"}')
    with pytest.raises(ModelError, match=r"config\.json cannot be read"):
        read_config(tmp_path)


@pytest.mark.parametrize("halved", [False, True], ids=["float32", "autocast"])
@pytest.mark.parametrize("checkpointing", [False, True], ids=["all", "checkpointing"])
def test_the_vision_tower_keeps_about_what_is_said(checkpointing: bool, halved: bool) -> None:
    tokenizer = TokenPolicy.load("toy-base").tokenizer
    model = tiny.qwen2_5_vl(tokenizer, hidden=96)
    outline = Outline(model.config, halved=halved, checkpointing=checkpointing)
    if checkpointing:
        checkpoint_layers(model)
    model.train()
    grid = torch.tensor([[1, 32, 32]])
    with saved(model) as found, torch.autocast("cpu", torch.bfloat16, enabled=halved):
        out = model.model.visual(torch.randn(1024, 1176), grid_thw=grid).pooler_output
    assert out.requires_grad
    # Under autocast the pixels are kept beside their copy in bfloat16.
    pixels = 4 * 1176 if halved else 0
    real = num_bytes(found) / 1024 + pixels
    assert 0.75 < outline.vision().kept / real < 1.35


def test_a_frozen_tower_keeps_its_input_only() -> None:
    vision = Outline(read_config("toy")[1], rank=4).vision()
    assert vision.kept == 3 * 2 * 14 * 14 * 4 and vision.block > 0


def test_without_a_backward_pass_half_a_block_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    config = read_config("toy-base")[1]
    wide = {"hidden_size": 640, "intermediate_size": 1710, "num_heads": 8}  # half of the published width
    for name, value in wide.items():
        setattr(config.vision_config, name, value)
    outline = Outline(config)
    tower = type(outline.model.model.visual)(config.vision_config).eval()

    def all_of(tree: object) -> list[torch.UntypedStorage]:
        return [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]

    monkeypatch.setattr(footprint, "_storages", all_of)  # of real tensors, too
    with torch.no_grad(), footprint.Live() as live:
        tower(torch.randn(1024, 1176), grid_thw=torch.tensor([[1, 32, 32]]))
    assert 0.7 < outline.vision().read * 1024 / live.peak < 1.4
