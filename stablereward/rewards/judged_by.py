"""The reward of R1-Reward with the parts of its paper: https://arxiv.org/abs/2505.02835."""

from stablereward.engines.engine import Engine
from stablereward.rewards.accuracy import accuracy_reward
from stablereward.rewards.compose import r1_reward
from stablereward.rewards.consistency import consistency_reward
from stablereward.rewards.format import format_reward
from stablereward.rewards.reward import RewardFunction


def judged_by(referee: Engine) -> RewardFunction:
    """result · (1 + 0.5 · consistency) + 0.5 · format.

    The referee says whether an analysis supports its verdict.
    """
    return r1_reward(format_reward, accuracy_reward, consistency_reward(referee))
