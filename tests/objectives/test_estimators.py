import math

import pytest
import torch

from stablereward.objectives.advantages import Signals, group_centre, sigma_filter, whiten
from stablereward.objectives.estimators import compose, critic_advantages, token_returns, trajectory_return

MASK_BT = torch.tensor([[1, 1, 0], [0, 1, 0]], dtype=torch.bool)
SIGNALS = Signals(
    rewards_B=torch.tensor([2.0, 4.0]),
    groups_B=torch.tensor([0, 0]),
    mask_BT=MASK_BT,
    reference_log_ratio_BT=torch.tensor([[0.5, -0.25, torch.nan], [torch.nan, 1.0, torch.nan]]),
    values_BT=torch.tensor([[1.0, 3.0, torch.nan], [torch.nan, 2.0, torch.nan]]),
)


def test_trajectory_return_puts_the_score_on_every_token():
    expected_BT = torch.tensor([[-1.0, -1.0, 0.0], [0.0, 1.0, 0.0]])
    assert torch.equal(trajectory_return(group_centre)(SIGNALS), expected_BT)


def test_trajectory_return_takes_the_kl_before_the_baseline():
    scores = [2 - 2 * 0.25, 4 - 2 * 1.0]
    mean = sum(scores) / 2
    expected_BT = torch.tensor([[scores[0] - mean] * 2 + [0.0], [0.0, scores[1] - mean, 0.0]])
    torch.testing.assert_close(trajectory_return(group_centre, beta=2.0)(SIGNALS), expected_BT)


def test_token_returns_take_the_kl_of_the_tokens_still_to_come():
    expected_BT = torch.tensor([[2 - 1.0 + 0.5, 2 + 0.5, 0.0], [0.0, 4 - 2.0, 0.0]])
    torch.testing.assert_close(token_returns(beta=2.0)(SIGNALS), expected_BT)


def test_critic_advantages():
    last = 2 - 3.0
    expected_BT = torch.tensor([[3 - 1 + 0.5 * last, last, 0.0], [0.0, 4 - 2.0, 0.0]])
    torch.testing.assert_close(critic_advantages(lam=0.5)(SIGNALS), expected_BT)


def test_gamma_discounts_the_tokens_before_the_last():
    expected_BT = torch.tensor([[1.0, 2.0, 0.0], [0.0, 4.0, 0.0]])
    assert torch.equal(token_returns(gamma=0.5)(SIGNALS), expected_BT)
    last = 2 - 3.0
    expected_BT = torch.tensor([[0.5 * 3 - 1 + 0.5 * last, last, 0.0], [0.0, 4 - 2.0, 0.0]])
    torch.testing.assert_close(critic_advantages(gamma=0.5, lam=1.0)(SIGNALS), expected_BT)


def test_what_is_missing_is_named():
    bare = SIGNALS._replace(reference_log_ratio_BT=None, values_BT=None)
    with pytest.raises(ValueError, match="no values_BT"):
        critic_advantages()(bare)
    with pytest.raises(ValueError, match="no reference_log_ratio_BT"):
        token_returns(beta=0.1)(bare)


@pytest.mark.parametrize("estimate", [trajectory_return(), token_returns(), critic_advantages()])
def test_a_reward_that_is_no_number_is_refused_unless_it_left(estimate):
    broken = SIGNALS._replace(rewards_B=torch.tensor([2.0, torch.nan]))
    with pytest.raises(ValueError, match="reward of trajectory 1 is nan"):
        estimate(broken)
    left = broken._replace(mask_BT=MASK_BT & torch.tensor([[True], [False]]))
    assert torch.equal(estimate(left)[0], estimate(SIGNALS)[0])


def test_metrics_of_one_wrong_answer_among_256():
    signals = Signals(
        rewards_B=torch.tensor([0.0] + [1.0] * 255),
        groups_B=torch.arange(256) // 2,
        mask_BT=torch.ones(256, 1, dtype=torch.bool),
    )
    values_BT, _, metrics = compose(token_returns(), normalise=whiten, keep=sigma_filter(3.0))(signals)
    assert values_BT[0].item() == 0.0
    assert values_BT[1].item() == pytest.approx(1 / math.sqrt(255), rel=1e-4)
    assert metrics["advantages/std"].item() == pytest.approx(math.sqrt(255) / 256, rel=1e-4)
    assert metrics["advantages/max_abs"].item() == pytest.approx(math.sqrt(255), rel=1e-4)
    assert metrics["advantages/filtered"].item() == pytest.approx(1 / 256)
    assert metrics["advantages/zero_spread"].item() == pytest.approx(127 / 128)


def test_the_deviation_is_that_of_the_tokens_alone():
    metrics = compose(trajectory_return(), normalise=whiten)(SIGNALS).metrics
    assert metrics["advantages/std"].item() == pytest.approx(math.sqrt(8 / 9))
    assert metrics["advantages/filtered"].item() == 0.0
