"""The settings of StableReinforce, and the objective that they ask for."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from stablereward.errors import ConfigError
from stablereward.objectives.advantages import released_filter, sigma_filter, winsorise
from stablereward.objectives.named import stable_reinforce
from stablereward.objectives.objective import Objective
from stablereward.objectives.ratios import pre_clipped_ratio, token_ratio
from stablereward.ranges import LARGE, NotNegative, Positive, Range, require_ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class Stable:
    """StableReinforce's constants: the paper's, and its code's `epsilon`. `beta` pulls to the start.

    `preclip` and `filter` take its parts off one by one; "released" is the rule of the paper's code, for
    study. `dual_clip`, such as 3, bounds the loss of a bad token; the paper has none.
    """

    preclip: bool = True
    delta_min: Annotated[float, Range(0, 1, above=True)] = 1e-3
    delta_max: Annotated[float, Range(1, LARGE)] = 1e3
    filter: Literal["paper", "released", "winsorise", "none"] = "paper"
    sigmas: Positive = 3.0
    epsilon: Positive = 0.2
    dual_clip: Annotated[float, Range(1, LARGE, above=True)] | None = None
    beta: NotNegative = 0.0

    def __post_init__(self) -> None:
        require_ranges(self)
        if self.dual_clip is not None and self.dual_clip <= 1 + self.epsilon:
            raise ConfigError(
                f"dual_clip is {self.dual_clip}; it must be above 1 + epsilon = {1 + self.epsilon}"
            )


def objective(stable: Stable) -> Objective:
    """StableReinforce with the parts and constants that are asked for."""
    filters = {
        "paper": sigma_filter(stable.sigmas),
        "released": released_filter(stable.sigmas),
        "winsorise": winsorise(stable.sigmas),
        "none": None,
    }
    return stable_reinforce(
        ratio=pre_clipped_ratio(stable.delta_min, stable.delta_max) if stable.preclip else token_ratio,
        keep=filters[stable.filter],
        epsilon=stable.epsilon,
        dual_clip=math.inf if stable.dual_clip is None else stable.dual_clip,
        beta=stable.beta,
    )
