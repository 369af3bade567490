"""A scalar reward model as a reward: one score a response, a prompt's responses in one call."""

from collections.abc import Sequence
from pathlib import Path

from stablereward.policies.scalar import load_scorer
from stablereward.rewards.reward import GroupReward
from stablereward.types import Completion, Failure, Group, Preference, Prompt, Reward


def scored_by(path_or_name: str | Path, *, device: str | None = None) -> GroupReward:
    """Loads a reward model's folder; see `policies.scalar`. Raises ConfigError and ModelError."""
    model = load_scorer(path_or_name, device=device)

    def reward(group: Group[Prompt, Completion]) -> Sequence[Reward | Failure]:
        asked = Preference(
            question="",
            history=group.prompt.messages,
            responses=tuple(completion.text for completion in group.trajectories),
        )
        [scores] = model.scores([asked])
        return [score if isinstance(score, Failure) else Reward(value=score) for score in scores]

    return reward
