"""Scoring in parts is log_softmax of the output layer, and so is its gradient."""

from math import log

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear

from stablereward.policies import scoring
from stablereward.policies.scoring import ChosenLogprobs, log_distribution

TARGETS_N = torch.tensor([0, 6, 3, 3, 1])


def test_scoring_by_hand() -> None:
    """Logits whose probabilities are 1/2, 1/4 and 1/4: the entropy is 1.5 bits."""
    states_ND = torch.tensor([[2.0, 1.0, 1.0]]).mul(log(2)).requires_grad_()
    logprobs_N, entropy_N = ChosenLogprobs.apply(states_ND, torch.eye(3), None, torch.tensor([1]), 1.0, ())
    torch.testing.assert_close(logprobs_N, torch.tensor([-2 * log(2)]))
    torch.testing.assert_close(entropy_N, torch.tensor([1.5 * log(2)]))
    assert not entropy_N.requires_grad
    logprobs_N.sum().backward()
    torch.testing.assert_close(states_ND.grad, torch.tensor([[-0.5, 0.75, -0.25]]))


@pytest.mark.parametrize("kept", [0, 2**24], ids=["made again", "kept"])
@pytest.mark.parametrize("rows", [1, 2, 100])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_parts_change_neither_scores_nor_gradients(
    rows: int, kept: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "LOGITS", {"cpu": rows * 7, "cuda": 0})
    monkeypatch.setattr(scoring, "KEPT", kept)
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(n, generator=generator).to(dtype).requires_grad_() for n in ((5, 4), (7, 4), (7,))]
    weights_N = torch.linspace(-1, 2, 5)

    def gradients(logprobs_N: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad((logprobs_N * weights_N).sum(), inputs)

    logprobs_NV = log_distribution(linear(*inputs), 0.7, [2])
    expected_N = logprobs_NV.gather(-1, TARGETS_N[:, None])[:, 0]
    found_N, entropy_N = ChosenLogprobs.apply(*inputs, TARGETS_N, 0.7, [2])
    torch.testing.assert_close(found_N, expected_N)
    torch.testing.assert_close(entropy_N, -(logprobs_NV.exp() * logprobs_NV).sum(-1))
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float64 else {"rtol": 0.05, "atol": 0.05}
    for found, expected in zip(gradients(found_N), gradients(expected_N), strict=True):
        torch.testing.assert_close(found, expected, **tolerance)


def test_frozen_weights_get_no_gradient() -> None:
    states_ND, weight_VD = torch.randn((3, 4)).requires_grad_(), torch.randn((7, 4))
    logprobs_N, _ = ChosenLogprobs.apply(states_ND, weight_VD, None, TARGETS_N[:3], 1.0, ())
    logprobs_N.sum().backward()
    assert states_ND.grad is not None and weight_VD.grad is None


def test_a_suppressed_token_has_no_probability() -> None:
    logprobs_1V = log_distribution(torch.zeros((1, 4)), 1.0, [1, 2])
    torch.testing.assert_close(logprobs_1V.exp(), torch.tensor([[0.5, 0.0, 0.0, 0.5]]))
