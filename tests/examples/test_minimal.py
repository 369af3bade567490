"""The one-file example and the library make the same updates."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from stablereward.data.prompts import r1_reward
from stablereward.data.toy.pairs import pairs
from stablereward.engines.hf import HFEngine
from stablereward.objectives.named import stable_reinforce
from stablereward.policies.completions import completions
from stablereward.policies.token import TokenPolicy
from stablereward.recipes.completions import completion_collector
from stablereward.rewards.accuracy import accuracy_reward
from stablereward.rewards.compose import r1_reward as r1_reward_value
from stablereward.rewards.consistency import consistency_reward
from stablereward.rewards.format import format_reward
from stablereward.rewards.rule_referee import rule_referee
from stablereward.training.fit import fit
from stablereward.training.policy_gradient import RLConfig, policy_loss

NUM_UPDATES = 4


@pytest.fixture(scope="module")
def minimal() -> ModuleType:
    path = Path(__file__).parents[2] / "examples" / "minimal.py"
    spec = importlib.util.spec_from_file_location("minimal", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_first_updates_equal_the_librarys(minimal: ModuleType) -> None:
    data = pairs(12, seed=0)
    prompts = [r1_reward(pair.preference()) for pair in data]
    plain = TokenPolicy.load("toy")
    expected = list(minimal.stable_reinforce(plain, prompts, NUM_UPDATES))

    policy = TokenPolicy.load("toy")
    config = RLConfig(
        num_updates=NUM_UPDATES,
        prompts_per_batch=minimal.PROMPTS,
        num_generations=minimal.SAMPLES,
        updates_per_batch=1,
        max_completion_length=minimal.MAX_TOKENS,
    )
    reward = r1_reward_value(format_reward, accuracy_reward, consistency_reward(rule_referee()))
    objective = stable_reinforce()
    collector = completion_collector(policy, HFEngine(policy), reward, objective, config)
    optimizer = torch.optim.AdamW(policy.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.0)
    updates = fit(
        policy.parameters(),
        collector.batches(prompts, seed=minimal.SEED),
        lambda share: policy_loss(completions(policy).score, objective, share),
        optimizer=optimizer,
        learning_rate=lambda update: 1e-4,
    )
    for (loss, reward_mean), update in zip(expected, updates, strict=True):
        assert collector.last is not None
        assert update.metrics["loss"] == pytest.approx(loss, abs=1e-5)
        assert collector.last.metrics["reward/mean"] == pytest.approx(reward_mean, abs=1e-6)
    moved = zip(plain.parameters(), policy.parameters(), strict=True)
    assert max(float((a - b).detach().abs().max()) for a, b in moved) < 1e-4
