"""The world of captions as a recipe meets it: prompts, a reward, and what is watched."""

from collections.abc import Mapping

from stablereward.rewards.reward import GroupReward, each
from stablereward.training.collect import Monitor
from stablereward.types import Reward
from stablereward.worlds.captions.grammar import required, scenes, well_formed, worth

WELL_FORMED = "captions/well_formed"
DEMAND = "captions/demand"

prompts = scenes

reward: GroupReward = each(lambda sample: Reward(value=worth(sample.prompt, sample.completion.text)))
"""A caption's worth."""

MONITORS: Mapping[str, Monitor] = {
    WELL_FORMED: lambda sample: float(well_formed(sample.completion.text)),
    DEMAND: lambda sample: float(len(required(sample.prompt))),
}
"""The captions' grammar, and how much their prompts demand."""
