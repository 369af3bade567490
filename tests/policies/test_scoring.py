import torch

from stablereward.policies.scoring import ChosenLogprobs


def test_scoring_by_hand() -> None:
    """Logits whose probabilities are 1/2, 1/4 and 1/4: the entropy is 1.5 bits."""
    logits_NV = torch.tensor([[2.0, 1.0, 1.0]]).mul(torch.log(torch.tensor(2.0))).requires_grad_()
    logprobs_NV = logits_NV.detach().log_softmax(-1)
    logprobs_N, entropy_N = ChosenLogprobs.apply(logits_NV, logprobs_NV, torch.tensor([1]), 1.0)
    bit = torch.log(torch.tensor(2.0))
    torch.testing.assert_close(logprobs_N, torch.stack([-2 * bit]))
    torch.testing.assert_close(entropy_N, torch.stack([1.5 * bit]))
    assert not entropy_N.requires_grad
    logprobs_N.sum().backward()
    torch.testing.assert_close(logits_NV.grad, torch.tensor([[-0.5, 0.75, -0.25]]))


def test_the_gradient_is_that_of_log_softmax() -> None:
    logits_NV = torch.randn((5, 7), generator=torch.Generator().manual_seed(0)).requires_grad_()
    targets_N, weights_N = torch.tensor([0, 6, 3, 3, 1]), torch.linspace(-1, 2, 5)
    plain_N = (logits_NV / 0.7).log_softmax(-1).gather(-1, targets_N[:, None])[:, 0]
    (expected,) = torch.autograd.grad((plain_N * weights_N).sum(), logits_NV)
    logprobs_NV = (logits_NV.detach() / 0.7).log_softmax(-1)
    logprobs_N, _ = ChosenLogprobs.apply(logits_NV, logprobs_NV, targets_N, 0.7)
    (actual,) = torch.autograd.grad((logprobs_N * weights_N).sum(), logits_NV)
    torch.testing.assert_close(logprobs_N, plain_N)
    torch.testing.assert_close(actual, expected)
