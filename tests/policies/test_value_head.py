"""The critic beside the policy."""

import torch

from stablereward.policies.token import TokenPolicy
from stablereward.policies.value_head import ValueHead, add_value_head


def test_a_new_head_expects_nothing_and_learns() -> None:
    torch.manual_seed(0)
    head, states_ND = ValueHead(8), torch.randn(64, 8)
    assert torch.equal(head(states_ND), torch.zeros(64))
    targets_N = states_ND[:, 0].sign()
    optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
    for _ in range(100):
        loss = (head(states_ND) - targets_N).square().mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert loss.item() < 0.2


def test_a_detached_head_leaves_the_states_alone() -> None:
    states_ND = torch.randn(4, 8, requires_grad=True)
    for detach in (True, False):
        head = ValueHead(8, detach=detach)
        torch.nn.init.ones_(head.out.weight)
        states_ND.grad = None
        head(states_ND).sum().backward()
        assert (states_ND.grad is None) == detach


def test_a_policys_head_is_a_function_of_the_seed_and_disturbs_no_other_draw() -> None:
    policies = [TokenPolicy.load("toy-base", device="cpu") for _ in range(2)]
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    for policy in policies:
        add_value_head(policy, seed=5)
    assert torch.equal(torch.rand(3), expected)
    first, second = (policy.value_head for policy in policies)
    assert first is not None and second is not None
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert "value_head.out.weight" in dict(policies[0].named_parameters())
