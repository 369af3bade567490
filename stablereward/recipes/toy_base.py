"""The tiny base model: a Qwen2.5-VL of a million parameters that learns to describe the toy world.

It stands for Qwen2.5-VL-Instruct: it can list what it sees, answer a question about it and check one
answer. It has never compared two responses, so the demo starts where a user starts.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from stablereward.data.toy.pairs import scenes
from stablereward.data.toy.scenes import Scene, draw
from stablereward.data.toy.tasks import comparing, seeing
from stablereward.errors import ConfigError
from stablereward.lock import held
from stablereward.objectives.objective import Loss
from stablereward.policies.tiny import create
from stablereward.policies.token import TokenPolicy
from stablereward.policies.tree import EncodedGroup, EncodedPrompt
from stablereward.ranges import Count, Number, Proportion, Size, require_ranges
from stablereward.training.fit import fit
from stablereward.training.optim import OptimConfig, adamw, learning_rate
from stablereward.types import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every picture of a batch is read once for `tasks_per_picture` tasks.

    `start` continues from a model; without it a random one is made. `comparing` is the share of tasks
    that show two responses.
    """

    start: str | None = None
    output: Path = Path("runs/toy-base")
    num_updates: Count = 2800
    pictures_per_batch: Count = 32
    tasks_per_picture: Count = 2
    num_pictures: Size = 10_000
    comparing: Proportion = 0.5
    seed: Number = 0
    device: str | None = None
    optim: OptimConfig = field(
        default_factory=lambda: OptimConfig(learning_rate=2e-3, warmup=0.02, final=0.02, weight_decay=0.01)
    )

    def __post_init__(self) -> None:
        require_ranges(self)
        if self.pictures_per_batch > self.num_pictures:
            raise ConfigError(
                f"pictures_per_batch is {self.pictures_per_batch}; it must be at most num_pictures, which is "
                f"{self.num_pictures}"
            )


def run(config: Config) -> Path:
    """Creates, trains and saves the model; returns its folder. Raises ConfigError for a folder in use."""
    with held(config.output):
        return _run(config)


def _run(config: Config) -> Path:
    if config.start is None:
        create(config.output, seed=config.seed)
    policy = TokenPolicy.load(config.start or config.output, device=config.device)
    optimizer = adamw(policy.parameters(), config.optim)
    updates = fit(
        policy.parameters(),
        batches(policy, config),
        lambda groups: _loss(policy, groups),
        optimizer=optimizer,
        learning_rate=lambda update: learning_rate(config.optim, update, config.num_updates),
        max_grad_norm=config.optim.max_grad_norm,
    )
    policy.train()
    for update in updates:
        if update.number % 100 == 0:
            print(f"update {update.number}: loss {update.metrics['loss']:.4f}", flush=True)
    policy.save(config.output)
    return config.output


def batches(policy: TokenPolicy, config: Config) -> Iterator[list[list[EncodedGroup]]]:
    """Batches of pictures, each with tasks as its completions. Pictures come back; tasks are new."""
    rng = random.Random(config.seed)
    source = scenes(rng, held_out=False)
    pool = [_picture(policy, next(source)) for _ in range(config.num_pictures)]
    for _ in range(config.num_updates):
        chosen = rng.sample(pool, config.pictures_per_batch)
        yield [[_group(policy, scene, picture, config, rng) for scene, picture in chosen]]


def _picture(policy: TokenPolicy, scene: Scene) -> tuple[Scene, EncodedPrompt]:
    """The user turn up to the end of the picture; the instruction belongs to the completion."""
    encoded = policy.encode(Prompt.user(text="", images=(draw(scene),)))
    end = int((encoded.input_ids_P == policy.model.config.vision_end_token_id).nonzero()[0]) + 1
    return scene, EncodedPrompt(
        input_ids_P=encoded.input_ids_P[:end], positions_AP=encoded.positions_AP[:, :end], media=encoded.media
    )


def _group(
    policy: TokenPolicy, scene: Scene, picture: EncodedPrompt, config: Config, rng: random.Random
) -> EncodedGroup:
    kinds = [
        comparing if rng.random() < config.comparing else seeing for _ in range(config.tasks_per_picture)
    ]
    tasks = [kind(scene, rng) for kind in kinds]
    texts = [f"{t.instruction}<|im_end|>\n<|im_start|>assistant\n{t.answer}<|im_end|>" for t in tasks]
    ids = policy.tokenizer(texts, add_special_tokens=False)["input_ids"]
    return EncodedGroup(prompt=picture, completions=tuple(tuple(i) for i in ids))


def _loss(policy: TokenPolicy, groups: list[EncodedGroup]) -> Loss:
    """Mean negative log-likelihood of the answers; the instruction is given, not learnt."""
    tree = policy.tree(groups)
    logprobs_BT = policy(tree).logprobs_BT
    turns_BT = (tree.targets_BT == policy.tokenizer.convert_tokens_to_ids("<|im_start|>")).cumsum(-1)
    # The answer begins after the marker of the assistant's turn, its role and a newline.
    answer_BT = tree.mask_BT & (torch.nn.functional.pad(turns_BT, (3, 0))[:, :-3] > 0)
    weights_BT = answer_BT / answer_BT.sum()
    return Loss(-(weights_BT * logprobs_BT).sum(), {})
