import pytest
import torch

from stablereward.lab.arms import ARMS, about
from stablereward.lab.regimes import REGIMES
from stablereward.objectives.advantages import Signals
from stablereward.training.policy_gradient import require_trainable

EXTREME = Signals(
    rewards_B=torch.tensor([2.0] * 31 + [0.5]),
    groups_B=torch.zeros(32, dtype=torch.long),
    mask_BT=torch.ones(32, 1, dtype=torch.bool),
)
"""31 right and one wrong: z is -sqrt(31) = -5.57 for the wrong one."""
FAR = torch.tensor([[10.0]])


def wrong(arm: str) -> float:
    """The advantage of the one wrong answer."""
    return float(ARMS[arm]().advantage(EXTREME).values_BT[-1, 0])


@pytest.mark.parametrize(
    ("arm", "expected"),
    [
        ("reinforce_plus_plus", -(31**0.5)),
        ("pre_clip", -(31**0.5)),
        ("filter", 0.0),
        ("stable_reinforce", 0.0),
        ("as_published", 0.0),
        ("winsorise", -3.0),
        ("dual_clip", 0.0),
    ],
)
def test_the_filter_is_the_one_the_arm_names(arm, expected):
    assert wrong(arm) == pytest.approx(expected, rel=1e-5)


def test_pre_clip_is_on_where_the_arm_names_it():
    mask = torch.ones(1, 1, dtype=torch.bool)
    clipped = {arm for arm in ARMS if bool(ARMS[arm]().ratio.clipped(FAR, mask).any())}
    assert clipped == {"pre_clip", "stable_reinforce", "as_published", "winsorise", "dual_clip"}


def test_only_the_dual_clip_bounds_the_loss_of_a_bad_token():
    ratio, advantage = torch.tensor([[100.0]]), torch.tensor([[-1.0]])
    losses = {arm: float(ARMS[arm]().surrogate(ratio, advantage, ratio)) for arm in ARMS}
    assert losses.pop("dual_clip") == 3.0
    assert set(losses.values()) == {100.0}


def test_only_ppo_has_a_critic_and_no_arm_a_reference():
    assert [arm for arm in ARMS if ARMS[arm]().critic] == ["ppo"]
    assert all(ARMS[arm]().beta == 0 for arm in ARMS)


def test_every_arm_can_be_trained_under_every_regime():
    for regime in REGIMES.values():
        for arm in ARMS:
            require_trainable(ARMS[arm](), regime.rl)


def test_every_arm_says_what_it_is():
    lines = {about(arm) for arm in ARMS}
    assert len(lines) == len(ARMS) and all(line.endswith(".") for line in lines)
