import math

import pytest
import torch

from stablereward.objectives.pairwise import (
    bradley_terry,
    centring,
    dpo,
    margin_beta,
    plackett_luce,
    squared_error,
    tie,
)


def test_bradley_terry():
    losses_B = bradley_terry(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 2.0]))
    assert losses_B.tolist() == pytest.approx([math.log(2), math.log(1 + math.exp(-1))])


def test_bradley_terry_asks_for_the_margin():
    chosen_B, rejected_B = torch.tensor([3.0, 5.0]), torch.tensor([1.0, 1.0])
    losses_B = bradley_terry(chosen_B, rejected_B, margin=torch.tensor([2.0, 3.0]))
    assert losses_B.tolist() == pytest.approx([math.log(2), math.log(1 + math.exp(-1))])


def test_bradley_terry_is_finite_for_any_scores():
    chosen_B = torch.tensor([-1e4], requires_grad=True)
    loss_B = bradley_terry(chosen_B, torch.zeros(1))
    loss_B.sum().backward()
    assert loss_B.item() == pytest.approx(1e4) and chosen_B.grad.item() == -1.0


def test_plackett_luce_by_hand():
    scores_BN = torch.log(torch.tensor([[1.0, 3.0, 2.0]]))
    loss_B = plackett_luce(scores_BN, torch.tensor([[2, 0, 1]]))
    assert loss_B.item() == pytest.approx(-math.log(3 / 6 * 2 / 3))


def test_plackett_luce_of_two_is_bradley_terry():
    scores_BN = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    ranks_BN = torch.tensor([[0, 1]]).expand(5, 2)
    torch.testing.assert_close(
        plackett_luce(scores_BN, ranks_BN), bradley_terry(scores_BN[:, 0], scores_BN[:, 1])
    )


def test_plackett_luce_draws_ties_together():
    scores_BN = torch.tensor([[2.0, 0.0, -5.0]], requires_grad=True)
    plackett_luce(scores_BN, torch.tensor([[0, 0, 1]])).sum().backward()
    assert scores_BN.grad[0, 0] > 0 > scores_BN.grad[0, 1]


def test_dpo():
    chosen_B, rejected_B = torch.tensor([3.0]), torch.tensor([1.0])
    assert dpo(chosen_B, rejected_B, beta=0.5).item() == pytest.approx(math.log(1 + math.exp(-1)))
    assert dpo(chosen_B, chosen_B).item() == pytest.approx(math.log(2))


def test_dpo_with_less_than_full_confidence_has_a_finite_optimum():
    z_B = torch.tensor([math.log(0.8 / 0.2)], requires_grad=True)
    dpo(z_B, torch.zeros(1), beta=1.0, confidence=0.8).sum().backward()
    assert z_B.grad.item() == pytest.approx(0.0, abs=1e-6)


def test_law_at_strength_1_the_scaled_loss_is_the_plain_one_and_the_margin_loss_is_not():
    chosen_B, rejected_B = torch.tensor([2.0, 0.5]), torch.tensor([1.0, 1.0])
    plain_B = bradley_terry(chosen_B, rejected_B)
    assert torch.equal(bradley_terry(chosen_B, rejected_B, weight=torch.ones(2)), plain_B)
    assert (bradley_terry(chosen_B, rejected_B, margin=torch.ones(2)) > plain_B).all()
    assert torch.equal(
        bradley_terry(chosen_B, rejected_B, weight=torch.tensor([3.0, 2.0]))[0], 3 * plain_B[0]
    )


def test_law_soft_labels_swapped_with_the_responses_say_the_same():
    first_B, second_B = torch.tensor([2.0, 0.5]), torch.tensor([1.0, 1.0])
    confidence_B = torch.tensor([0.8, 0.5])
    torch.testing.assert_close(
        bradley_terry(first_B, second_B, beta=0.5, confidence=confidence_B),
        bradley_terry(second_B, first_B, beta=0.5, confidence=1 - confidence_B),
    )
    assert bradley_terry(first_B, second_B, confidence=1.0).tolist() == pytest.approx(
        bradley_terry(first_B, second_B, confidence=torch.ones(2)).tolist()
    )


@pytest.mark.parametrize("name", ["margin", "weight", "beta", "confidence"])
def test_law_one_setting_for_all_is_the_same_for_each(name):
    chosen_B, rejected_B = torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    assert bradley_terry(chosen_B, rejected_B, **{name: 0.7}).tolist() == pytest.approx(
        bradley_terry(chosen_B, rejected_B, **{name: torch.full((5,), 0.7)}).tolist()
    )


def test_centring_and_tie_by_hand():
    first_B, second_B = torch.tensor([2.0]), torch.tensor([-0.5])
    assert centring(first_B, second_B).item() == 2.25
    assert tie(first_B, second_B).item() == tie(second_B, first_B).item() == 6.25
    assert tie(first_B + 3, second_B + 3).item() == 6.25
    assert centring(first_B + 3, second_B + 3).item() != 2.25


def test_squared_error_is_the_mean_over_attributes():
    assert squared_error(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 3.0]])).tolist() == [2.5]


def test_margin_beta_by_hand():
    lead_B = torch.tensor([-3.0, 0.0, 1.0, 1e6])
    betas = margin_beta(lead_B).tolist()
    assert betas == pytest.approx([0.1, 0.1, 0.1197, 0.15], abs=5e-5)
    assert margin_beta(lead_B, weight=0.0).tolist() == pytest.approx([0.1] * 4)


def test_law_the_gradient_of_soft_labels_at_zero():
    """0 for c = 1/2, which holds the policy still, and -1/2 for c = 1."""
    for confidence, wanted in ((0.5, 0.0), (1.0, -0.5)):
        z_B = torch.zeros(1, requires_grad=True)
        dpo(z_B, torch.zeros(1), beta=1.0, confidence=confidence).sum().backward()
        assert z_B.grad.item() == pytest.approx(wanted)
