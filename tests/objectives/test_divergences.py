import math

import pytest
import torch

from stablereward.objectives.divergences import entropy, k1, k2, k3

LOG_BT = torch.tensor([[math.log(2), 0.0, -math.log(2)]])
ZERO_BT = torch.zeros(1, 3)


def test_by_hand():
    log2 = math.log(2)
    assert k1(LOG_BT, ZERO_BT)[0].tolist() == pytest.approx([log2, 0, -log2])
    assert k2(LOG_BT, ZERO_BT)[0].tolist() == pytest.approx([log2**2 / 2, 0, log2**2 / 2])
    assert k3(LOG_BT, ZERO_BT)[0].tolist() == pytest.approx([0.5 + log2 - 1, 0, 2 - log2 - 1])


@pytest.mark.parametrize(
    ("estimate", "value", "swapped", "gradient"),
    # l = log pi - log pi_ref = log 2: pi says the token twice as often as the reference.
    [
        (k1, math.log(2), -math.log(2), 1.0),
        (k2, math.log(2) ** 2 / 2, math.log(2) ** 2 / 2, math.log(2)),
        (k3, 0.5 + math.log(2) - 1, 2.0 - math.log(2) - 1, 1 - 0.5),
    ],
)
def test_which_policy_comes_first(estimate, value, swapped, gradient):
    """Value with (pi, reference), with (reference, pi), and the gradient with respect to log pi."""
    log_BT = torch.tensor([[math.log(0.5)]], requires_grad=True)
    reference_BT = torch.tensor([[math.log(0.25)]])
    value_BT = estimate(log_BT, reference_BT)
    value_BT.sum().backward()
    assert value_BT.item() == pytest.approx(value)
    assert estimate(reference_BT, log_BT.detach()).item() == pytest.approx(swapped)
    assert log_BT.grad.item() == pytest.approx(gradient)


def kl_of_softmax(estimate):
    """KL(pi || ref), KL(ref || pi), the estimate's exact mean under pi and the mean of its gradient."""
    logits_V = torch.tensor([0.3, -0.4, 1.0], dtype=torch.float64, requires_grad=True)
    reference_V = torch.tensor([0.0, 0.5, 0.2], dtype=torch.float64).log_softmax(0)
    log_V = logits_V.log_softmax(0)
    estimate_V = estimate(log_V, reference_V)
    forward = (log_V.exp() * (log_V - reference_V)).sum()
    backward = (reference_V.exp() * (reference_V - log_V)).sum()

    def gradient(value):
        return torch.autograd.grad(value, logits_V, retain_graph=True)[0]

    as_loss = gradient((log_V.exp().detach() * estimate_V).sum())
    return (
        forward.item(),
        (log_V.exp() * estimate_V).sum().item(),
        as_loss,
        gradient(forward),
        gradient(backward),
    )


@pytest.mark.parametrize("estimate", [k1, k3])
def test_k1_and_k3_have_no_bias(estimate):
    exact, mean, *_ = kl_of_softmax(estimate)
    assert mean == pytest.approx(exact)


def test_gradients_of_the_estimates_as_a_loss():
    torch.testing.assert_close(kl_of_softmax(k1)[2], torch.zeros(3, dtype=torch.float64))
    _, _, as_loss, forward, _ = kl_of_softmax(k2)
    torch.testing.assert_close(as_loss, forward)
    _, _, as_loss, _, backward = kl_of_softmax(k3)
    torch.testing.assert_close(as_loss, backward)


def test_k3_stays_finite():
    log_BT = torch.tensor([[-100.0, 100.0]], requires_grad=True)
    value_BT = k3(log_BT, torch.zeros(1, 2))
    value_BT.sum().backward()
    assert value_BT.isfinite().all() and log_BT.grad.isfinite().all()


def test_entropy():
    logits_BTV = torch.tensor(
        [[[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, -torch.inf, -torch.inf]]], requires_grad=True
    )
    entropy_BT = entropy(logits_BTV)
    uneven = entropy(torch.tensor([0.5, 0.25, 0.25]).log())
    assert uneven.item() == pytest.approx(1.5 * math.log(2))
    assert entropy_BT[0].tolist() == pytest.approx([math.log(4), math.log(2)])
    entropy_BT.sum().backward()
    torch.testing.assert_close(logits_BTV.grad, torch.zeros(1, 2, 4))
