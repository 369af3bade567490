"""Supervised fine-tuning on demonstrations: the long-CoT cold start."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated

from stablereward.objectives.objective import Loss
from stablereward.policies.token import TokenPolicy
from stablereward.policies.tree import Group
from stablereward.ranges import Count, Range, Size, require_ranges
from stablereward.training.batching import fill, passes
from stablereward.training.optim import OptimConfig
from stablereward.types import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class SFTConfig:
    """The paper: one epoch, learning rate 1e-5, batches of 256."""

    epochs: Annotated[float, Range(0, 1_000_000, above=True)] = 1.0
    batch_size: Size = 256
    token_budget: Count = 16_384
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(learning_rate=1e-5))

    def __post_init__(self) -> None:
        require_ranges(self)

    def num_updates(self, num_demonstrations: int) -> int:
        """Updates that see every demonstration `epochs` times."""
        return max(1, round(self.epochs * num_demonstrations / self.batch_size))


@dataclass(frozen=True, slots=True, kw_only=True)
class Demonstration:
    """A prompt and the completion to learn."""

    prompt: Prompt
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A micro-batch of a larger batch: its rows, and the weight of every token in the whole batch."""

    groups: tuple[Group, ...]
    token_weight: float


def sft_batches(
    policy: TokenPolicy, demonstrations: Sequence[Demonstration], config: SFTConfig, seed: int, start: int = 0
) -> Iterator[list[Share]]:
    """Batches after update `start`; demonstrations of one batch share one mean over all its tokens."""
    num_updates = config.num_updates(len(demonstrations))
    for chosen in passes(len(demonstrations), config.batch_size, num_updates, seed, start):
        shown = [demonstrations[number] for number in chosen]
        policy.encode_all([demonstration.prompt for demonstration in shown])
        groups = [_group(policy, demonstration) for demonstration in shown]
        weight = 1.0 / sum(len(ids) for group in groups for ids in group.completions)
        yield [
            Share(groups=tuple(groups[n] for n in numbers), token_weight=weight)
            for numbers in fill(groups, config.token_budget)
        ]


def lengths(policy: TokenPolicy, demonstrations: Sequence[Demonstration]) -> list[int]:
    """Tokens of each demonstration with its prompt. Raises DataError for a prompt that cannot be encoded."""
    policy.encode_all([demonstration.prompt for demonstration in demonstrations])
    return [_group(policy, demonstration).num_tokens for demonstration in demonstrations]


def sft_loss(policy: TokenPolicy, share: Share) -> Loss:
    """Mean negative log-likelihood of the demonstrations' tokens, end token included."""
    tree = policy.tree(share.groups)
    scored = policy(tree)
    value = -share.token_weight * scored.logprobs_BT.sum()
    entropy = share.token_weight * scored.entropy_BT.sum()
    return Loss(value, {"policy/entropy": entropy})


def _group(policy: TokenPolicy, demonstration: Demonstration) -> Group:
    prompt = policy.encode(demonstration.prompt)
    return Group(prompt=prompt, completions=(policy.completion(prompt, demonstration.text),))
