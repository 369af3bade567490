"""Groups of a collection as rows for people: what was shown, what was done, what it earned."""

from collections.abc import Mapping, Sequence
from typing import Any

from stablereward.policies.policy import Family
from stablereward.training.collect import Collected
from stablereward.types import Failure, Reward

Place = tuple[int, int]
"""The number of a prompt in its collection and of one of its trajectories."""


def rollout_rows(
    update: int,
    collected: Collected,
    family: Family[Any, Any],
    num_prompts: int,
    *,
    chosen: Sequence[int] | None = None,
    flags: Mapping[Place, Mapping[str, Sequence[int]]] | None = None,
) -> list[dict[str, Any]]:
    """The first prompts of a collection as their family shows them, with rewards by part and advantages.

    With `chosen` the first of these prompts. `flags` are, for a prompt's and a trajectory's number, the
    steps that each kind of bound decided. For `RunFolder.write_rollouts`, which keeps the images.
    """
    rows = []
    numbers = range(len(collected.groups)) if chosen is None else chosen
    for prompt in numbers[:num_prompts]:
        group = collected.groups[prompt]
        completions = []
        for number, advantage in enumerate(collected.advantages[prompt]):
            shown = family.show(group.trajectories[number])
            row = {**shown, **_earned(group.rewards[number]), "advantage": advantage}
            clipped = (flags or {}).get((prompt, number))
            completions.append({**row, "clipped": clipped} if clipped else row)
        rows.append({"update": update, **family.show_prompt(group.prompt), "completions": completions})
    return rows


def _earned(reward: Reward | Failure) -> dict[str, Any]:
    if isinstance(reward, Failure):
        return {"reward": None, "parts": {}, "failure": f"{reward.reason}: {reward.detail}"}
    steps = {"steps": list(reward.steps)} if reward.steps else {}
    return {"reward": reward.value, "parts": dict(reward.parts), "failure": None, **steps}
