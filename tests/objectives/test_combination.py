"""Combined scores by hand, and what a constant of one model does to each."""

import pytest
import torch

from stablereward.objectives.combination import (
    fitted,
    fused,
    mean,
    mean_minus_std,
    median,
    weighted,
    worst,
)

SCORES_MN = torch.tensor([[1.0, 2.0], [3.0, 2.0], [8.0, 2.0]])


def test_by_hand() -> None:
    assert mean(SCORES_MN).tolist() == [4.0, 2.0]
    assert median(SCORES_MN).tolist() == [3.0, 2.0]
    assert median(SCORES_MN[:2]).tolist() == [2.0, 2.0]
    assert worst(SCORES_MN).tolist() == [1.0, 2.0]
    assert mean_minus_std(SCORES_MN).tolist() == pytest.approx([4 - (26 / 3) ** 0.5, 2.0])
    assert mean_minus_std(SCORES_MN, 0.0).tolist() == [4.0, 2.0]
    assert weighted(SCORES_MN, torch.tensor([1.0, 0.0, 0.5])).tolist() == [5.0, 3.0]
    assert fused(SCORES_MN, torch.tensor([[1.0, 1.0], [0.9, 0.9], [0.1, 0.1]])).tolist() == pytest.approx(
        [(1 + 2.7 + 0.8) / 2, 2.0]
    )


@pytest.mark.parametrize("combine", [mean, median, worst, mean_minus_std])
def test_law_of_one_it_is_the_one_and_the_order_of_models_is_nothing(combine) -> None:  # type: ignore[no-untyped-def]
    assert combine(SCORES_MN[:1]).tolist() == SCORES_MN[0].tolist()
    assert combine(SCORES_MN.flip(0)).tolist() == pytest.approx(combine(SCORES_MN).tolist())


@pytest.mark.parametrize(("combine", "kept"), [(mean, True), (worst, False), (median, False)])
def test_law_only_the_mean_keeps_its_ranking_where_one_model_adds_a_constant(combine, kept) -> None:  # type: ignore[no-untyped-def]
    scores_MN = torch.randn((5, 200), generator=torch.Generator().manual_seed(0))
    shifted_MN = scores_MN + torch.tensor([-9.0, -6.0, -3.0, 0.0, 3.0])[:, None]
    assert torch.equal(combine(shifted_MN).argsort(), combine(scores_MN).argsort()) == kept


def test_a_fitted_mixture_finds_the_weights_that_labels_were_drawn_with() -> None:
    drawn = torch.Generator().manual_seed(0)
    leads_CM = torch.randn((20_000, 3), generator=drawn)
    right_C = torch.rand(20_000, generator=drawn) < torch.sigmoid(leads_CM @ torch.tensor([2.0, 0.0, -1.0]))
    signed_CM = torch.where(right_C[:, None], leads_CM, -leads_CM)
    assert fitted(signed_CM, ridge=1e-6).tolist() == pytest.approx([2.0, 0.0, -1.0], abs=0.1)


def test_separable_comparisons_have_finite_weights() -> None:
    found_M = fitted(torch.tensor([[1.0, 0.0], [2.0, 0.0]]))
    assert torch.isfinite(found_M).all() and found_M[0] > 1 and found_M[1] == 0
