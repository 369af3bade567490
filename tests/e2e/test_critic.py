"""PPO with a critic on the toy world: the value head comes to know what a text will earn."""

import random
from itertools import islice

import pytest
import torch

from stablereward.data.prompts import r1_reward
from stablereward.data.toy.annotator import NoisyReader
from stablereward.data.toy.pairs import pairs
from stablereward.engines.hf import HFEngine
from stablereward.objectives.named import ppo
from stablereward.policies.completions import Demonstrations, completions
from stablereward.policies.token import TokenPolicy
from stablereward.policies.value_head import add_value_head
from stablereward.recipes.completions import completion_collector
from stablereward.rewards.reward import Sample
from stablereward.training.fit import fit
from stablereward.training.imitation import SFTConfig, imitation_batches, imitation_loss
from stablereward.training.optim import OptimConfig, adamw, learning_rate
from stablereward.training.policy_gradient import RLConfig, policy_loss
from stablereward.types import Reward

NUM_UPDATES = 30


def looking(sample: Sample) -> Reward:
    """1 for a text that looks, -1 for one that does not: known from its first words on."""
    return Reward(value=1.0 if "Look:" in sample.completion.text else -1.0)


@pytest.fixture(scope="module")
def divided() -> TokenPolicy:
    """A judge that looks in about half of its answers."""
    policy = TokenPolicy.load("toy-base", device="cpu")
    reader, rng = NoisyReader(habit=0.5), random.Random(0)
    shown = [(r1_reward(pair.preference()), reader.annotate(pair, rng).text) for pair in pairs(480, seed=1)]
    config = SFTConfig(epochs=2.0, batch_size=16, optim=OptimConfig(learning_rate=1e-3, warmup=0.1))
    policy.train()
    updates = fit(
        policy.parameters(),
        islice(
            imitation_batches(Demonstrations(policy, shown), completions(policy).costs, config, seed=0), 60
        ),
        lambda share: imitation_loss(completions(policy).score, share),
        optimizer=adamw(policy.parameters(), config.optim),
        learning_rate=lambda update: learning_rate(config.optim, update, 60),
    )
    assert sum(1 for _ in updates) == 60
    return policy


@pytest.mark.slow
def test_the_value_head_learns(divided: TokenPolicy) -> None:
    """Explained variance is measured on fresh samples, before the update that learns from them.

    The policy is almost held still: once all its samples earn the same there is nothing to explain.
    """
    torch.manual_seed(0)
    policy, objective = divided, ppo(lam=1.0)
    add_value_head(policy, seed=0)
    config = RLConfig(
        num_updates=NUM_UPDATES,
        prompts_per_batch=8,
        num_generations=8,
        updates_per_batch=1,
        max_completion_length=48,
        temperature=0.5,
        optim=OptimConfig(learning_rate=1e-6, schedule="constant", critic_factor=5000.0),
    )
    prompts = [r1_reward(pair.preference()) for pair in pairs(8 * NUM_UPDATES, seed=2)]
    collector = completion_collector(policy, HFEngine(policy), looking, objective, config)
    explained = []
    for _ in fit(
        policy.parameters(),
        collector.batches(prompts, seed=0),
        lambda share: policy_loss(completions(policy, config.temperature).score, objective, share),
        optimizer=adamw(policy.parameters(), config.optim, critic=policy.value_head),
        learning_rate=lambda update: learning_rate(config.optim, update, NUM_UPDATES),
    ):
        assert collector.last is not None
        explained.append(collector.last.metrics["value/explained_variance"])
    assert abs(explained[0]) < 1e-6
    assert sum(explained[-5:]) / 5 > 0.3
