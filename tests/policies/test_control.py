"""Policies of control: at first the base and nothing else; gradients, averages and chunks by hand."""

from pathlib import Path

import pytest
import torch
from torch import nn

from stablereward.errors import ModelError
from stablereward.policies.control import (
    ChunkPolicy,
    Critics,
    Perceptrons,
    Plans,
    Residual,
    Standard,
    combined,
    follow,
    untouched,
)


def made(**settings: object) -> tuple[Residual, Critics]:
    torch.manual_seed(0)
    actor = Residual(observation=4, action=2, scale=0.3, hidden=8, **settings)
    return actor, Critics(observation=4, action=2, heads=3, hidden=8, **settings)


@pytest.mark.parametrize("layer_norm", [True, False])
def test_a_new_residual_is_the_base_bit_for_bit(layer_norm: bool) -> None:
    actor, _ = made(layer_norm=layer_norm)
    seen, base = torch.randn(64, 4), 2 * torch.rand(64, 2) - 1
    assert torch.equal(combined(base, actor(seen, base)), base)


def test_a_residual_is_bounded_and_actions_are_too() -> None:
    actor, _ = made()
    nn.init.normal_(actor.net.weights[-1], std=50)
    seen, base = torch.randn(64, 4), 2 * torch.rand(64, 2) - 1
    residual = actor(seen, base)
    assert 0.2 < residual.abs().max() <= 0.3
    assert combined(base, residual).abs().max() <= 1
    assert combined(torch.tensor([0.9]), torch.tensor([0.3])).item() == 1


@pytest.mark.parametrize("layer_norm", [True, False])
def test_side_by_side_networks_are_as_many_ordinary_ones(layer_norm: bool) -> None:
    torch.manual_seed(1)
    nets, inputs = Perceptrons(5, 2, hidden=7, heads=3, layer_norm=layer_norm), torch.randn(6, 5)
    assert len(list(nets.scales)) == (2 if layer_norm else 0)
    for head in range(3):
        state = inputs
        for layer in range(3):
            state = state @ nets.weights[layer][head] + nets.biases[layer][head]
            if layer < 2:
                state = nn.LayerNorm(7)(state) if layer_norm else state
                state = state.relu()
        torch.testing.assert_close(nets(inputs)[head], state)


def test_heads_begin_apart() -> None:
    _, critics = made()
    values_NB = critics(torch.randn(5, 4), torch.randn(5, 2))
    assert values_NB.shape == (3, 5) and len(set(values_NB[:, 0].tolist())) == 3


def test_untouched_critics_pass_the_gradient_on_and_take_none() -> None:
    actor, critics = made()
    seen, base = torch.randn(8, 4), torch.rand(8, 2)
    value = untouched(critics, seen, combined(base, actor(seen, base)))
    assert torch.equal(value, critics(seen, base))
    value.mean().backward()
    assert all(p.grad is None for p in critics.parameters())
    assert actor.net.weights[-1].grad.abs().sum() > 0


def test_an_average_follows_by_its_share() -> None:
    target, leader = nn.Linear(1, 1), nn.Linear(1, 1)
    with torch.no_grad():
        target.weight.fill_(1.0), leader.weight.fill_(3.0)
        target.bias.fill_(0.0), leader.bias.fill_(-1.0)
    follow([target], [leader], 0.25)
    assert (target.weight.item(), target.bias.item()) == (1.5, -0.25)
    assert (leader.weight.item(), leader.bias.item()) == (3.0, -1.0)


def test_observations_are_standardised() -> None:
    standard = Standard(2)
    standard.see(torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    assert standard(torch.tensor([[2.0, 6.0]])).tolist() == [[0.0, 1.0]]


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    actor, critics = made(layer_norm=False)
    policy = ChunkPolicy(observation=4, action=2, chunk=3, hidden=8)
    policy.standard.see(torch.randn(9, 4))
    seen, base = torch.randn(5, 4), torch.randn(5, 2)
    nn.init.normal_(actor.net.weights[-1])
    for name, module, inputs in (
        ("a", actor, (seen, base)),
        ("c", critics, (seen, base)),
        ("p", policy, (seen,)),
    ):
        module.save(tmp_path / name)
        assert torch.equal(type(module).load(tmp_path / name)(*inputs), module(*inputs))
    assert {path.suffix for path in tmp_path.rglob("*.*")} == {".json", ".safetensors"}


def test_a_folder_that_is_something_else_is_named(tmp_path: Path) -> None:
    actor, _ = made()
    actor.save(tmp_path)
    with pytest.raises(ModelError, match="cannot be loaded as Critics"):
        Critics.load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(ModelError, match=f"{tmp_path}: cannot be loaded as Residual"):
        Residual.load(tmp_path)


class Counting(ChunkPolicy):
    """Plans 10 · observation + 0, 1, 2, a hundredth each."""

    def __init__(self) -> None:
        super().__init__(observation=1, action=1, chunk=3, hidden=1)

    def forward(self, observations_BO: torch.Tensor) -> torch.Tensor:
        return (10 * observations_BO[:, :, None] + torch.arange(3.0)[None, :, None]) / 100


def said(plans: Plans, *observations: float) -> list[float]:
    return [round(100 * value) for value in plans.now(torch.tensor(observations)[:, None])[:, 0].tolist()]


def test_a_chunk_is_carried_out_before_another_is_planned() -> None:
    plans = Plans(Counting(), 2)
    assert said(plans, 1, 2) == [10, 20] and said(plans, 3, 3) == [10, 20]
    plans.advance()
    assert said(plans, 4, 4) == [11, 21]
    plans.advance()
    plans.forget(torch.tensor([False, True]))
    assert said(plans, 5, 6) == [12, 60]
    plans.advance()
    kept = {name: tensor.clone() for name, tensor in plans.state_dict().items()}
    assert said(plans, 7, 7) == [70, 61]
    other = Plans(Counting(), 2)
    other.load_state_dict(kept)
    assert said(other, 7, 7) == [70, 61]
