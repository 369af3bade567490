"""Tiny text models that a world's policies start from: a Llama that has learnt a writer's texts."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from stablereward.policies.completions import Demonstrations, completions
from stablereward.policies.tiny import train_tokenizer
from stablereward.policies.tiny_families import create_llama
from stablereward.policies.token import TokenPolicy
from stablereward.ranges import Count, Number, require_ranges
from stablereward.runs.progress import say
from stablereward.training.fit import fit
from stablereward.training.imitation import Share, imitation_batch, imitation_loss
from stablereward.training.optim import OptimConfig, adamw, learning_rate
from stablereward.types import Prompt

TURNS = ("user\n", "assistant\n")
"""What the chat template writes, one token each."""
NUM_BYTES = 264

Writer = Callable[[Prompt, random.Random], str]
"""Writes an answer to a prompt, with the mistakes that the base is to make."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStart:
    """How long a base is taught. Every batch is written anew."""

    num_updates: Count = 2000
    batch_size: Count = 128
    hidden: Count = 64
    layers: Count = 2
    seed: Number = 0
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(learning_rate=3e-3, warmup=0.02, final=0.02)
    )

    def __post_init__(self) -> None:
        require_ranges(self)


def warm_start(
    folder: Path, words: Sequence[str], prompts: Sequence[Prompt], writer: Writer, config: WarmStart
) -> None:
    """Makes a random Llama with a token for each of `words`, teaches it the writer's answers and saves it."""
    tokenizer = train_tokenizer((), vocab_size=NUM_BYTES, phrases=[*TURNS, *words])
    create_llama(folder, tokenizer, seed=config.seed, hidden=config.hidden, layers=config.layers)
    policy = TokenPolicy.load(folder, device="cpu")
    family, rng = completions(policy), random.Random(config.seed)
    torch.manual_seed(config.seed)

    def batches() -> Iterator[list[Share]]:
        for _ in range(config.num_updates):
            shown = [(prompt, writer(prompt, rng)) for prompt in rng.choices(prompts, k=config.batch_size)]
            groups = Demonstrations(policy, shown).pick(range(len(shown)))
            yield imitation_batch(groups, family.costs, 2**20)

    policy.train()
    for update in fit(
        policy.parameters(),
        batches(),
        lambda share: imitation_loss(family.score, share),
        optimizer=adamw(policy.parameters(), config.optim),
        learning_rate=lambda number: learning_rate(config.optim, number, config.num_updates),
    ):
        if update.number % 200 == 0:
            say(f"update {update.number}: loss {update.metrics['loss']:.4f}")
    policy.save(folder)
