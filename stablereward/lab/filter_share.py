"""How many advantages the sigma filter zeroes as a batch gets more accurate: theory against the code.

Rewards are 2.0 for a right answer and 0.5 for a wrong one. At accuracy p the mean is 0.5 + 1.5 p and the
standard deviation 1.5 sqrt(p (1 - p)), so whitened advantages are sqrt((1 - p) / p) where right and
-sqrt(p / (1 - p)) where wrong.

- The paper (https://arxiv.org/abs/2505.02835, section 4.1) zeroes |z| > 3: wrong answers where
  p > 0.9, right ones where p < 0.1.
- Its released code zeroes what is not within the RAW mean +- 3: wrong answers where
  sqrt(p / (1 - p)) > 2.5 - 1.5 p, which begins at p = 0.685, right ones where
  sqrt((1 - p) / p) > 3.5 + 1.5 p.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from stablereward.lab.arms import as_published, stable_reinforce
from stablereward.objectives.advantages import Signals
from stablereward.objectives.objective import Objective

RIGHT, WRONG = 2.0, 0.5
BATCH = 256

Share = Callable[[float], float]
"""Batch accuracy in [0, 1] to the share of samples whose advantage is zeroed."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A filter's rule: what theory says of it, and the composition that applies it."""

    name: str
    theory: Share
    objective: Callable[[], Objective]


def paper(accuracy: float) -> float:
    """The share that |z| > 3 zeroes."""
    return _zeroed(accuracy, bound_wrong=3.0, bound_right=3.0)


def released(accuracy: float) -> float:
    """The share that the bounds of the released code zero."""
    return _zeroed(accuracy, bound_wrong=2.5 - 1.5 * accuracy, bound_right=3.5 + 1.5 * accuracy)


def _zeroed(accuracy: float, *, bound_wrong: float, bound_right: float) -> float:
    if not 0 < accuracy < 1:
        return 0.0
    odds = math.sqrt(accuracy / (1 - accuracy))
    return (1 - accuracy) * (odds > bound_wrong) + accuracy * (1 / odds > bound_right)


RULES = (
    Rule("paper", paper, stable_reinforce),
    Rule("released code", released, as_published),
)


def measured(rule: Rule, right: int, batch: int = BATCH) -> float:
    """The share that the objective's own code zeroes in a batch with so many right answers."""
    rewards_B = torch.full((batch,), WRONG)
    rewards_B[:right] = RIGHT
    mask_BT = torch.ones((batch, 1), dtype=torch.bool)
    signals = Signals(rewards_B=rewards_B, groups_B=torch.arange(batch), mask_BT=mask_BT)
    return float(rule.objective().advantage(signals).metrics["advantages/filtered"])


def crossing(share: Share) -> float:
    """The accuracy above one half from which every wrong answer is zeroed, to 1e-9."""
    low, high = 0.5, 1 - 1e-6
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (low, middle) if share(middle) > 0 else (middle, high)
    return high
