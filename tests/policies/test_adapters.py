"""The laws of adapters: they start as nothing, alone learn, and are saved as a plain model."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.errors import ConfigError
from stablereward.policies.adapters import add_lora, reference
from stablereward.policies.checkpointing import checkpoint_layers
from stablereward.policies.merging import merged_weights
from stablereward.policies.token import TokenPolicy
from stablereward.types import Failure
from tests.policies.families import ALL, VISION, answered, groups, make, prompts


@pytest.fixture(params=ALL)
def policy(request: pytest.FixtureRequest, tmp_path: Path) -> TokenPolicy:
    return make(request.param, tmp_path / "model")


def scores(policy: TokenPolicy, temperature: float = 1.0) -> Tensor:
    with torch.no_grad():
        scored_BT: Tensor = policy(policy.tree(groups(policy)), temperature).logprobs_BT
    return scored_BT


def update(policy: TokenPolicy, rate: float = 0.05) -> None:
    """One step of gradient descent on something."""
    trained = [p for p in policy.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate)
    for _ in range(2):
        policy(policy.tree(groups(policy))).logprobs_BT.sum().neg().backward()
        optimizer.step()
        optimizer.zero_grad()


def state(policy: TokenPolicy) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in policy.state_dict().items()}


def test_fresh_adapters_change_nothing_and_equal_the_reference(policy: TokenPolicy) -> None:
    before = scores(policy, 0.8)
    add_lora(policy)
    assert torch.equal(scores(policy, 0.8), before)
    assert torch.equal(reference(policy, 0.8)(answered(policy)).logprobs_BT, before)


def test_only_adapters_have_gradients(policy: TokenPolicy) -> None:
    add_lora(policy, rank=4)
    reference(policy)(answered(policy))
    policy(policy.tree(groups(policy))).logprobs_BT.sum().backward()
    trained = {name for name, p in policy.named_parameters() if p.grad is not None}
    assert trained == {name for name, p in policy.named_parameters() if p.requires_grad}
    assert trained == {name for name, _ in policy.named_parameters() if "lora_" in name}
    # Seven linear layers in each of the two blocks of the language model, an A and a B for each.
    assert len(trained) == 7 * 2 * 2
    assert not any("visual" in name or "vision" in name for name in trained)


def test_after_an_update_the_policy_has_left_the_reference(policy: TokenPolicy) -> None:
    start = scores(policy)
    add_lora(policy, rank=4)
    scorer = reference(policy)
    update(policy)
    assert (scores(policy) - start)[policy.tree(groups(policy)).mask_BT].abs().min() > 1e-4
    anchored = scorer(answered(policy))
    assert torch.equal(anchored.logprobs_BT, start)
    assert not anchored.logprobs_BT.requires_grad
    update(policy)
    assert torch.equal(scorer(answered(policy)).logprobs_BT, start)


def test_a_saved_policy_is_merged_and_the_live_one_untouched(policy: TokenPolicy, tmp_path: Path) -> None:
    names = set(policy.model.state_dict())
    add_lora(policy, rank=4, alpha=12)
    update(policy)
    live, before = scores(policy), state(policy)
    policy.save(tmp_path / "saved")
    assert torch.equal(scores(policy), live)
    after = policy.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert set(merged_weights(policy.model)) == names
    assert not list((tmp_path / "saved").glob("adapter*"))
    again = TokenPolicy.load(tmp_path / "saved", device="cpu")
    torch.testing.assert_close(scores(again), live, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("family", ALL)
def test_transformers_alone_loads_what_was_saved(family: str, tmp_path: Path) -> None:
    policy = make(family, tmp_path / "model")
    add_lora(policy, rank=4)
    update(policy)
    policy.save(tmp_path / "saved")
    auto = AutoModelForImageTextToText if family in VISION else AutoModelForCausalLM
    model, found = auto.from_pretrained(tmp_path / "saved", output_loading_info=True)
    assert not found["missing_keys"] and not found["unexpected_keys"] and not found["mismatched_keys"]
    expected = merged_weights(policy.model)
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())


def test_merging_by_hand(tmp_path: Path) -> None:
    policy = make("llama", tmp_path)
    add_lora(policy, rank=2, alpha=6, targets=["q_proj"])
    layer = policy.model.model.layers[1].self_attn.q_proj
    torch.nn.init.normal_(layer.lora_B["default"].weight)
    change = 3 * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    merged = merged_weights(policy.model)["model.layers.1.self_attn.q_proj.weight"]
    torch.testing.assert_close(merged, layer.base_layer.weight + change)


def test_the_engine_samples_through_the_adapters(policy: TokenPolicy) -> None:
    add_lora(policy, rank=4)
    sampling = Sampling(num_generations=2, max_completion_length=8)
    before = HFEngine(policy).sample(prompts(policy), sampling)
    update(policy, rate=0.5)
    after = HFEngine(policy).sample(prompts(policy), sampling)
    assert before != after
    for answer, group in zip(after, groups(policy), strict=True):
        assert not isinstance(answer, Failure)
        tree = policy.tree([type(group)(prompt=group.prompt, completions=tuple(c.token_ids for c in answer))])
        with torch.no_grad():
            scored_BT = policy(tree).logprobs_BT
        expected = [x for c in answer for x in c.logprobs]
        # The engine adds the adapters to the weights, which rounds otherwise.
        torch.testing.assert_close(scored_BT[tree.mask_BT], torch.tensor(expected), atol=1e-4, rtol=1e-4)


def test_gradient_checkpointing_reaches_the_adapters(policy: TokenPolicy) -> None:
    add_lora(policy, rank=4)
    update(policy)

    def gradients() -> list[Tensor]:
        policy.zero_grad()
        policy(policy.tree(groups(policy))).logprobs_BT.sum().backward()
        return [p.grad.clone() for p in policy.parameters() if p.grad is not None]

    plain = gradients()
    checkpoint_layers(policy.model)
    policy.train()
    for ours, theirs in zip(gradients(), plain, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_the_seed_decides_the_adapters(tmp_path: Path) -> None:
    def adapters(seed: int) -> list[Tensor]:
        policy = make("llama", tmp_path)
        randomness = torch.get_rng_state()
        add_lora(policy, rank=2, seed=seed)
        assert torch.equal(torch.get_rng_state(), randomness)
        return [p for name, p in policy.named_parameters() if "lora_A" in name]

    first, again, other = adapters(0), adapters(0), adapters(1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_targets_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no layer of the model is named query or value"):
        add_lora(make("llama", tmp_path), targets=("query", "value"))


def test_without_adapters_the_reference_is_a_copy(policy: TokenPolicy) -> None:
    start = scores(policy, 0.5)
    scorer = reference(policy, 0.5)
    update(policy, rate=0.01)
    assert not torch.allclose(scores(policy, 0.5), start, atol=1e-3)
    anchored = scorer(answered(policy))
    assert torch.equal(anchored.logprobs_BT, start)
    assert not anchored.logprobs_BT.requires_grad
    assert all(p.requires_grad for p in policy.parameters())
