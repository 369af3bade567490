"""Ten updates of each trainer from the shipped tiny model: a number that moves is a method that moved."""

import hashlib
import json
from pathlib import Path

import torch

from stablereward.data.prompts import r1_reward
from stablereward.data.toy.analyses import careful
from stablereward.data.toy.pairs import pairs
from stablereward.engines.hf import HFEngine
from stablereward.objectives.advantages import sigma_filter
from stablereward.objectives.named import stable_reinforce
from stablereward.policies.completions import Demonstrations, completions
from stablereward.policies.shipped import model_folder
from stablereward.policies.token import TokenPolicy
from stablereward.recipes.completions import completion_collector
from stablereward.rewards.reward import Sample
from stablereward.training.fit import Update, fit
from stablereward.training.imitation import SFTConfig, imitation_batches, imitation_loss
from stablereward.training.optim import OptimConfig, adamw, learning_rate
from stablereward.training.policy_gradient import RLConfig, policy_loss
from stablereward.types import Reward

FOLDER = Path(__file__).parent
MODEL = "toy-base"
NUM_UPDATES = 10
METRICS = ("loss", "grad_norm", "policy/entropy")


def sft() -> dict[str, list[float]]:
    """The cold start on forty careful analyses."""
    policy = TokenPolicy.load(MODEL, device="cpu")
    shown = [
        (
            r1_reward(pair.preference()),
            careful(pair.scene, pair.question, pair.right_index, pair.right_index).text,
        )
        for pair in pairs(4 * NUM_UPDATES, seed=0)
    ]
    config = SFTConfig(batch_size=4, token_budget=600, optim=OptimConfig(learning_rate=1e-3, warmup=0.2))
    updates = fit(
        policy.parameters(),
        imitation_batches(Demonstrations(policy, shown), completions(policy).costs, config, seed=0),
        lambda share: imitation_loss(completions(policy).score, share),
        optimizer=adamw(policy.parameters(), config.optim),
        learning_rate=lambda update: learning_rate(config.optim, update, NUM_UPDATES),
    )
    policy.train()
    return _kept(list(updates))


def rl() -> dict[str, list[float]]:
    """StableReinforce with two updates a batch and a reward that every text earns some of.

    The model is sure of what it says: the temperature makes its samples differ, and so few of them are
    never three sigmas out.
    """
    policy = TokenPolicy.load(MODEL, device="cpu")
    config = RLConfig(
        num_updates=NUM_UPDATES,
        prompts_per_batch=4,
        num_generations=4,
        updates_per_batch=2,
        temperature=1.8,
        max_completion_length=16,
        token_budget=600,
        optim=OptimConfig(learning_rate=1e-3, warmup=0.2),
    )
    objective = stable_reinforce(keep=sigma_filter(1.5))
    prompts = [r1_reward(pair.preference()) for pair in pairs(12, seed=0)]
    collector = completion_collector(policy, HFEngine(policy), _vowels, objective, config)
    updates = fit(
        policy.parameters(),
        collector.batches(prompts, seed=0),
        lambda share: policy_loss(completions(policy, config.temperature).score, objective, share),
        optimizer=adamw(policy.parameters(), config.optim),
        learning_rate=lambda update: learning_rate(config.optim, update, NUM_UPDATES),
    )
    policy.train()
    return _kept(list(updates))


TRAJECTORIES = {"sft": sft, "rl": rl}


def model_digest() -> str:
    """What the trajectories start from."""
    return hashlib.sha256((model_folder(MODEL) / "model.safetensors").read_bytes()).hexdigest()[:16]


def record() -> None:
    """Writes the trajectories of today as the golden ones."""
    torch.set_num_threads(1)
    for name, trajectory in TRAJECTORIES.items():
        content = {"model": model_digest(), **trajectory()}
        (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _vowels(sample: Sample) -> Reward:
    text = sample.completion.text
    return Reward(value=sum(text.count(vowel) for vowel in "aeiou") / (1 + len(text)))


def _kept(updates: list[Update]) -> dict[str, list[float]]:
    return {name: [round(update.metrics[name], 6) for update in updates] for name in METRICS}
