"""Sharing a prompt's keys computes what the plain mask over the whole row computes."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from stablereward.errors import ModelError
from stablereward.policies.adapters import add_lora
from stablereward.policies.attention import ROUTED, TreeRows, arranged, attend, route
from stablereward.policies.checkpointing import checkpoint_layers
from stablereward.policies.copies import frozen_copy
from stablereward.policies.token import TokenPolicy
from stablereward.policies.tree import EncodedGroup, EncodedPrompt, Tree, tree_attention
from stablereward.policies.vision import PACKED
from tests.policies.families import ALL, groups, make, prompts

TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}
SHAPES = {
    "ragged": [(3, (1, 5, 2)), (7, (4, 4)), (1, (3,))],
    "even": [(4, (3, 3)), (4, (3, 3))],
    "one": [(5, (6,))],
    "only first tokens": [(4, (1, 1, 1)), (2, (1,))],
}


@pytest.fixture(params=ALL)
def policy(request: pytest.FixtureRequest, tmp_path: Path) -> TokenPolicy:
    return make(request.param, tmp_path)


def tree_of(shape: list[tuple[int, tuple[int, ...]]]) -> Tree:
    def prompt(size: int) -> EncodedPrompt:
        return EncodedPrompt(input_ids_P=torch.arange(size), positions_AP=torch.arange(size)[None], media={})

    made = [
        EncodedGroup(prompt=prompt(size), completions=tuple((9,) * n for n in lengths))
        for size, lengths in shape
    ]
    return Tree.build(made, pad_token_id=0)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("key_heads", [1, 2, 4])
def test_a_tree_attends_as_its_mask_says(shape: list[tuple[int, tuple[int, ...]]], key_heads: int) -> None:
    tree = tree_of(shape)
    rows, length = tree.input_ids_RL.shape
    generator = torch.Generator().manual_seed(0)

    def random(heads: int, size: int) -> Tensor:
        return torch.randn((rows, heads, length, size), generator=generator).requires_grad_()

    query, key, value = random(4, 6), random(key_heads, 6), random(key_heads, 5)
    repeated = [x.repeat_interleave(4 // key_heads, dim=1) for x in (key, value)]
    mask = tree_attention(tree.segments_RL, torch.float32)
    plain = scaled_dot_product_attention(query, *repeated, attn_mask=mask, scale=0.3).transpose(1, 2)
    shared = TreeRows.of(tree).attend(0, query, key, value, 0.3)
    real = tree.segments_RL >= 0
    torch.testing.assert_close(shared[real], plain[real], **TOLERANCE)
    weights = torch.randn(plain[real].shape, generator=generator)
    actual, expected = (
        torch.autograd.grad((x[real] * weights).sum(), (query, key, value)) for x in (shared, plain)
    )
    torch.testing.assert_close(actual, expected, **TOLERANCE)


def scores(policy: TokenPolicy, made: list[EncodedGroup]) -> tuple[Tensor, list[Tensor | None]]:
    policy.zero_grad(set_to_none=True)
    logprobs_BT = policy(policy.tree(made)).logprobs_BT
    weights_BT = torch.linspace(-1, 1, logprobs_BT.numel()).view(logprobs_BT.shape)
    (weights_BT * logprobs_BT).mean().backward()
    return logprobs_BT.detach(), [p.grad for p in policy.parameters()]


@pytest.mark.parametrize("setting", ["plain", "checkpointing", "lora"])
def test_sharing_changes_neither_scores_nor_gradients(policy: TokenPolicy, setting: str) -> None:
    if setting == "lora":
        add_lora(policy, rank=2)
    if setting == "checkpointing":
        checkpoint_layers(policy.model)
        policy.train()
    assert policy.shares_prompts
    found, gradients = scores(policy, groups(policy))
    policy.shares_prompts = False
    expected, plain = scores(policy, groups(policy))
    torch.testing.assert_close(found, expected, **TOLERANCE)
    for actual, wanted in zip(gradients, plain, strict=True):
        assert (actual is None) == (wanted is None)
        if actual is not None:
            torch.testing.assert_close(actual, wanted, **TOLERANCE)


@torch.no_grad()
def test_sharing_in_half_precision_is_as_near(tmp_path: Path) -> None:
    policy = make("qwen2_5_vl", tmp_path)
    tree = policy.tree(groups(policy))
    exact = policy(tree).logprobs_BT
    gaps = {}
    for policy.shares_prompts in (True, False):
        with torch.autocast("cpu", torch.bfloat16):
            gaps[policy.shares_prompts] = (policy(tree).logprobs_BT - exact).abs().mean()
    assert gaps[True] < 2 * gaps[False]


def test_only_the_language_model_is_routed(policy: TokenPolicy) -> None:
    config = policy.model.config
    assert config.get_text_config()._attn_implementation == ROUTED
    if config is not config.get_text_config():
        assert config.vision_config._attn_implementation in ("sdpa", PACKED)


def test_nothing_of_it_is_saved_and_copies_have_it(policy: TokenPolicy, tmp_path: Path) -> None:
    policy.save(tmp_path / "again")
    written = (tmp_path / "again" / "config.json").read_text()
    assert ROUTED not in written and PACKED not in written
    assert frozen_copy(policy).shares_prompts


@pytest.mark.parametrize(
    "difference",
    [{"attn_logit_softcapping": 30.0}, {"_attn_implementation": "eager"}],
)
def test_a_model_whose_attention_is_not_ordinary_takes_the_plain_path(
    difference: dict[str, object], tmp_path: Path
) -> None:
    shared = make("llama", tmp_path)
    expected = shared(shared.tree(groups(shared))).logprobs_BT
    text = shared.model.config.get_text_config()
    text._attn_implementation = "sdpa"
    for name, value in difference.items():
        setattr(text, name, value)
    plain = TokenPolicy(shared.model, shared.processor, shared.source).eval()
    assert not plain.shares_prompts and text._attn_implementation != ROUTED
    torch.testing.assert_close(plain(plain.tree(groups(plain))).logprobs_BT, expected, **TOLERANCE)


def test_a_model_that_does_not_exchange_its_attention_takes_the_plain_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make("llama", tmp_path).model
    monkeypatch.setattr(type(model), "_supports_attention_backend", False)
    assert not route(model)


def test_a_lost_arrangement_is_an_error_and_not_a_wrong_number() -> None:
    module = SimpleNamespace(is_causal=True, layer_idx=0)
    states = torch.zeros(1, 1, 3, 4)
    tree = TreeRows.of(tree_of(SHAPES["one"]))
    with pytest.raises(ModelError, match="SimpleNamespace is not told how samples share a prompt"):
        attend(module, states, states, states, arranged(tree, states.device)["attention_mask"])


@torch.no_grad()
def test_without_an_arrangement_attention_is_ordinary(policy: TokenPolicy) -> None:
    encoded = policy.encode(prompts(policy)[1])
    ids = encoded.input_ids_P[None]
    routed = policy.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    policy.model.config.get_text_config()._attn_implementation = "sdpa"
    torch.testing.assert_close(policy.model(input_ids=ids).logits, routed, **TOLERANCE)
