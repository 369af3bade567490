"""Completions, wired: an engine that writes them, a policy that scores them, and what is measured of them."""

from collections.abc import Mapping, Sequence

import torch

from stablereward.engines.engine import Engine, Sampling
from stablereward.engines.hf import HFEngine
from stablereward.engines.sampler import greedy, sampler
from stablereward.objectives.objective import Objective
from stablereward.policies.adapters import reference
from stablereward.policies.completions import completions
from stablereward.policies.parts import part_of
from stablereward.policies.token import TokenPolicy
from stablereward.rewards.reward import GroupReward, RewardFunction, each
from stablereward.runs.folder import RunFolder
from stablereward.training.batching import fill
from stablereward.training.collect import Collector, Monitor, figures, roll_out
from stablereward.training.learner import Learner
from stablereward.training.policy_gradient import RLConfig
from stablereward.training.reinforce import reinforcement
from stablereward.types import Prompt

SCORED_TOGETHER = 2**14
"""Tokens of a micro-batch where nothing is trained."""


def completion_collector(
    policy: TokenPolicy,
    engine: Engine,
    reward: RewardFunction,
    objective: Objective,
    config: RLConfig,
    *,
    monitors: Mapping[str, Monitor] | None = None,
) -> Collector:
    """What `engine` writes, each sample rewarded on its own and scored by `policy`.

    Where the objective is pulled to a reference, that is the policy as it now is.
    """
    return _collector(policy, engine, each(reward), objective, config, monitors)


def reinforced(
    run: RunFolder,
    stage: str,
    policy: TokenPolicy,
    reward: GroupReward,
    objective: Objective,
    config: RLConfig,
    prompts: Sequence[Prompt],
    seed: int,
    *,
    monitors: Mapping[str, Monitor] | None = None,
) -> Learner:
    """Trains the policy by the objective on what it writes for the prompts."""
    collector = _collector(policy, HFEngine(policy), reward, objective, config, monitors)
    return reinforcement(run, stage, policy, collector, prompts, seed, part_of=part_of)


def _collector(
    policy: TokenPolicy,
    engine: Engine,
    reward: GroupReward,
    objective: Objective,
    config: RLConfig,
    monitors: Mapping[str, Monitor] | None,
) -> Collector:
    drawing = config.sampling()
    return Collector(
        sampler(engine, drawing),
        completions(policy, config.temperature),
        reward,
        objective,
        config,
        reference=reference(policy, config.temperature) if objective.beta > 0 else None,
        greedy=greedy(engine, drawing),
        monitors=monitors,
    )


def measured(
    policy: TokenPolicy,
    prompts: Sequence[Prompt],
    reward: GroupReward,
    sampling: Sampling,
    monitors: Mapping[str, Monitor] | None = None,
) -> dict[str, float]:
    """What the policy writes on its own: the figures of a batch (see `training.collect.figures`) and
    "policy/entropy", the mean entropy of a token. `sampling.seed` decides the samples."""
    family = completions(policy, sampling.temperature)
    groups = roll_out(
        prompts,
        sampler(HFEngine(policy), sampling),
        reward,
        sampling.seed,
        num_generations=sampling.num_generations,
    )
    found = figures(groups, family, monitors)
    written = [group for group in groups if group.trajectories]
    entropy = 0.0
    with torch.no_grad():
        for numbers in fill(family.costs(written), SCORED_TOGETHER):
            scored = family.score([written[n] for n in numbers])
            assert scored.entropy_BT is not None
            entropy += float(scored.entropy_BT.sum())
    num_tokens = sum(t.num_steps for group in written for t in group.trajectories)
    return {**found, "policy/entropy": entropy / num_tokens}
