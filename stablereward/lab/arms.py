"""The arms of the ablation: compositions that differ from StableReinforce in the part they name.

The first line of each docstring is what the tables say of the arm.
"""

from collections.abc import Callable
from dataclasses import replace

from stablereward.objectives import named
from stablereward.objectives.advantages import released_filter
from stablereward.objectives.advantages import winsorise as pulled_back
from stablereward.objectives.objective import Objective
from stablereward.objectives.ratios import token_ratio


def reinforce_plus_plus() -> Objective:
    """Whitened returns under PPO's clip, with neither Pre-CLIP nor filter."""
    return replace(named.stable_reinforce(ratio=token_ratio, keep=None), name="reinforce_plus_plus")


def pre_clip() -> Objective:
    """REINFORCE++ and Pre-CLIP: StableReinforce without the filter."""
    return replace(named.stable_reinforce(keep=None), name="pre_clip")


def filter() -> Objective:
    """REINFORCE++ and the 3-sigma filter: StableReinforce without Pre-CLIP."""
    return replace(named.stable_reinforce(ratio=token_ratio), name="filter")


def stable_reinforce() -> Objective:
    """Both parts, as in the paper."""
    return named.stable_reinforce()


def as_published() -> Objective:
    """Both parts, the filter by the rule of the released code."""
    return replace(
        named.stable_reinforce(keep=released_filter()), name="as_published", invariant_to="nothing"
    )


def winsorise() -> Objective:
    """Both parts, but outlying advantages are pulled back to 3 sigma and not zeroed."""
    return replace(named.stable_reinforce(keep=pulled_back()), name="winsorise")


def dual_clip() -> Objective:
    """Both parts, and the loss of a bad token is bounded at 3 times its advantage."""
    return replace(named.stable_reinforce(dual_clip=3.0), name="dual_clip")


def grpo() -> Objective:
    """GRPO with its z-scores within each prompt's group, and no KL."""
    return named.grpo(beta=0.0)


def ppo() -> Objective:
    """PPO: advantages (lambda 1) from a critic that is trained along, whitened, with neither part."""
    return named.ppo(lam=1.0)


ARMS: dict[str, Callable[[], Objective]] = {
    arm.__name__: arm
    for arm in (
        reinforce_plus_plus,
        pre_clip,
        filter,
        stable_reinforce,
        as_published,
        winsorise,
        dual_clip,
        grpo,
        ppo,
    )
}
"""Every arm by its name, the baseline first."""


def about(arm: str) -> str:
    """One line about an arm."""
    return (ARMS[arm].__doc__ or "").partition("\n")[0]
