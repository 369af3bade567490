import math
from dataclasses import replace

import pytest
import torch

from stablereward.objectives import named
from stablereward.objectives.divergences import k1, k2, k3
from stablereward.objectives.ratios import pre_clipped_ratio
from stablereward.objectives.surrogates import dual_clip

LOGPROBS_BT = torch.full((2, 3), -1.0)
OLD_BT = LOGPROBS_BT - torch.log(torch.tensor([[2.0, 0.5, 4.0], [1.0, 1.0, 1.0]]))
MASK_BT = torch.tensor([[1, 1, 1], [1, 0, 0]], dtype=torch.bool)
ADVANTAGES_BT = torch.tensor([[1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


def test_loss_and_metrics_by_hand():
    objective = named.stable_reinforce(ratio=pre_clipped_ratio(1e-3, 3.0), epsilon=0.2)
    weights_BT = objective.reduction(MASK_BT)
    value, metrics = objective.loss(LOGPROBS_BT, OLD_BT, ADVANTAGES_BT, weights_BT, MASK_BT)
    assert value.item() == pytest.approx((-1.2 + 0.8 + 3.0) / 6 - 1.0 / 2, rel=1e-5)
    expected = {
        "policy/weight": 1.0,
        "policy/ratio_clip_low": 1 / 6,
        "policy/ratio_clip_high": 1 / 6,
        "policy/preclip": 1 / 6,
        "policy/dual_clip": 0.0,
        "policy/approx_kl": (2 - 1 - math.log(2) + 0.5 - 1 + math.log(2) + 4 - 1 - math.log(4)) / 6,
    }
    assert {name: metric.item() for name, metric in metrics.items()} == pytest.approx(expected, rel=1e-5)


def test_dual_clip_is_counted():
    objective = replace(named.dapo(), surrogate=dual_clip(c=3.0))
    metrics = objective.loss(
        LOGPROBS_BT, OLD_BT, ADVANTAGES_BT, objective.reduction(MASK_BT), MASK_BT
    ).metrics
    assert metrics["policy/dual_clip"].item() == pytest.approx(1 / 4)


def test_the_divergence_is_added_with_the_same_weights():
    objective = replace(named.dapo(), divergence=k2, beta=0.5)
    weights_BT = objective.reduction(MASK_BT)
    plain = named.dapo().loss(LOGPROBS_BT, OLD_BT, ADVANTAGES_BT, weights_BT, MASK_BT)
    pulled = objective.loss(LOGPROBS_BT, OLD_BT, ADVANTAGES_BT, weights_BT, MASK_BT, LOGPROBS_BT - 2.0)
    assert (pulled.value - plain.value).item() == pytest.approx(0.5 * 2.0, rel=1e-5)
    assert pulled.metrics["policy/kl_reference"].item() == pytest.approx(math.exp(-2) + 2 - 1, rel=1e-5)
    assert "policy/kl_reference" not in plain.metrics


@pytest.mark.parametrize(
    ("divergence", "value", "gradient"),
    [
        (k1, math.log(2), 1.0),
        (k2, math.log(2) ** 2 / 2, math.log(2)),
        (k3, 0.5 + math.log(2) - 1, 0.5),
    ],
)
def test_the_pull_in_the_loss_by_hand(divergence, value, gradient):
    """GRPO at ratio 1 on one token that the policy says twice as often as the reference.

    loss = -A + beta D(pi, reference), so the gradient is -A + beta dD/dlog pi: down for what is said too
    often. With policy and reference exchanged k3 would be 2 - log 2 - 1 and its gradient 1.
    """
    objective = replace(named.grpo(beta=0.04), divergence=divergence)
    logprobs_BT = torch.tensor([[math.log(0.5)]], requires_grad=True)
    one_BT, mask_BT = torch.ones(1, 1), torch.ones(1, 1, dtype=torch.bool)
    reference_BT = torch.tensor([[math.log(0.25)]])
    loss = objective.loss(logprobs_BT, logprobs_BT, 0.5 * one_BT, one_BT, mask_BT, reference_BT)
    loss.value.backward()
    assert loss.value.item() == pytest.approx(-0.5 + 0.04 * value, rel=1e-6)
    assert logprobs_BT.grad.item() == pytest.approx(-0.5 + 0.04 * gradient, rel=1e-6)
    # The metric is k3 whatever is in the loss.
    assert loss.metrics["policy/kl_reference"].item() == pytest.approx(0.5 + math.log(2) - 1, rel=1e-6)


@pytest.mark.parametrize("moved", [2.0, 0.5])
def test_approx_kl_is_that_of_the_old_policy_from_this_one(moved):
    """k3 of log pi_old - log pi: ratio - 1 - log ratio."""
    old_BT, mask_BT = torch.tensor([[math.log(0.25)]]), torch.ones(1, 1, dtype=torch.bool)
    one_BT = torch.ones(1, 1)
    metrics = named.dapo().loss(old_BT + math.log(moved), old_BT, one_BT, one_BT, mask_BT).metrics
    assert metrics["policy/approx_kl"].item() == pytest.approx(moved - 1 - math.log(moved), rel=1e-5)


def test_a_missing_reference_is_named():
    with pytest.raises(ValueError, match=r"grpo: beta is 0\.04"):
        named.grpo().loss(LOGPROBS_BT, OLD_BT, ADVANTAGES_BT, MASK_BT.float(), MASK_BT)


def test_only_the_policy_gets_a_gradient_and_metrics_hold_no_graph():
    tensors = [t.clone().requires_grad_() for t in (LOGPROBS_BT, OLD_BT, ADVANTAGES_BT, OLD_BT)]
    logprobs_BT, old_BT, advantages_BT, reference_BT = tensors
    loss = named.grpo().loss(logprobs_BT, old_BT, advantages_BT, MASK_BT.float(), MASK_BT, reference_BT)
    loss.value.backward()
    assert logprobs_BT.grad is not None
    assert old_BT.grad is None and advantages_BT.grad is None and reference_BT.grad is None
    assert not any(metric.requires_grad for metric in loss.metrics.values())


def test_rows_that_left_make_a_loss_of_zero():
    logprobs_BT = LOGPROBS_BT.clone().requires_grad_()
    nothing_BT = torch.zeros_like(MASK_BT)
    loss = named.stable_reinforce().loss(logprobs_BT, OLD_BT, ADVANTAGES_BT, nothing_BT.float(), nothing_BT)
    loss.value.backward()
    assert loss.value.item() == 0.0 and torch.equal(logprobs_BT.grad, torch.zeros(2, 3))
