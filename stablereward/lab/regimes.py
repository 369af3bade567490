"""Under which settings the arms are trained. Every number that makes a regime calm or hard is here."""

from dataclasses import dataclass, replace
from typing import Literal

from stablereward.training.optim import OptimConfig
from stablereward.training.policy_gradient import RLConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """Settings that every arm is trained with.

    `prompts` "easy" keeps the preferences that the starting judge answers right in all of
    `start.EASY_TRIES` samples, so that almost every sample of a batch is right and a wrong one is many
    sigmas out. With a `head_start` the runs begin where StableReinforce has trained the cold start with
    those settings; without one, at the cold start.
    """

    name: str
    about: str
    rl: RLConfig
    prompts: Literal["all", "easy"] = "all"
    head_start: RLConfig | None = None


def _optim(learning_rate: float) -> OptimConfig:
    return OptimConfig(learning_rate=learning_rate, schedule="constant", warmup=0.05)


CALM = Regime(
    name="calm",
    about="one update for each batch, so that the policy is never stale",
    rl=RLConfig(
        num_updates=48,
        prompts_per_batch=16,
        num_generations=8,
        updates_per_batch=1,
        max_completion_length=96,
        token_budget=4096,
        optim=_optim(2e-4),
    ),
)

STRESS = Regime(
    name="stress",
    about="learning rate 5e-4, four updates for each batch and each batch twice, so that the policy is stale",
    rl=replace(CALM.rl, num_updates=128, updates_per_batch=4, num_iterations=2, optim=_optim(5e-4)),
)

EASY = Regime(
    name="easy",
    about="learning rate 4e-4 from a trained judge on prompts it knows, sampled at temperature 0.5: nearly "
    "all answers are right and a wrong one is many sigmas out",
    rl=replace(CALM.rl, num_updates=40, temperature=0.5, optim=_optim(4e-4)),
    prompts="easy",
    head_start=replace(CALM.rl, num_updates=96),
)

REGIMES = {regime.name: regime for regime in (CALM, STRESS, EASY)}
DEFAULT = ("calm", "stress")
DEFAULT_ARMS = (
    "reinforce_plus_plus", "pre_clip", "filter", "stable_reinforce", "as_published", "grpo", "ppo",
)  # fmt: skip
SEEDS = 5

NOISE_FLIPS = (0.0, 0.1, 0.2, 0.4)
NOISE_WEIGHTS = (0.0, 0.5, 1.0)
NOISE_SEEDS = 3
"""The referee-noise sweep: StableReinforce under the calm settings."""

FAST_REGIMES = ("calm", "stress")
FAST_ARMS = ("reinforce_plus_plus", "stable_reinforce")


def fast(regime: Regime) -> Regime:
    """The regime in seconds: it shows that the lab works, not what the arms do."""
    return replace(
        regime,
        about="the fast form: whether the lab works, not what the arms do",
        rl=_small(regime.rl),
        head_start=None if regime.head_start is None else _small(regime.head_start),
    )


def _small(rl: RLConfig) -> RLConfig:
    return replace(rl, num_updates=8, prompts_per_batch=4, num_generations=4, max_completion_length=64)
