"""A collection without a sample is the collection in which that sample had failed."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch

from stablereward.data.prompts import r1_reward
from stablereward.data.toy.pairs import pairs
from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.errors import TrainingError
from stablereward.objectives.named import grpo, ppo, rloo, stable_reinforce
from stablereward.objectives.objective import Objective
from stablereward.policies.adapters import reference
from stablereward.policies.token import TokenPolicy
from stablereward.policies.value_head import add_value_head
from stablereward.training.collection import NOT_FINITE, Collection
from stablereward.training.rl import RLConfig, Share
from stablereward.types import Failure, Reward, Rollouts

CONFIG = RLConfig(updates_per_batch=1, max_completion_length=12)
SAMPLING = Sampling(num_generations=3, temperature=3.0, max_completion_length=12, seed=1)


@pytest.fixture(scope="module")
def policy() -> TokenPolicy:
    torch.manual_seed(0)
    policy = TokenPolicy.load("toy-base", device="cpu")
    add_value_head(policy)
    return policy


@pytest.fixture(scope="module")
def rollouts(policy: TokenPolicy) -> list[Rollouts]:
    prompts = [r1_reward(pair.preference()) for pair in pairs(3, seed=5)]
    outputs = HFEngine(policy).sample(prompts, SAMPLING)
    rewards = iter(Reward(value=value / 7) for value in (1, 5, 2, 8, 3, 9, 4, 4, 7))
    found = []
    for prompt, output in zip(prompts, outputs, strict=True):
        assert not isinstance(output, Failure)
        found.append(
            Rollouts(prompt=prompt, completions=output, rewards=tuple(next(rewards) for _ in output))
        )
    return found


def failed(rollouts: list[Rollouts], *places: tuple[int, int]) -> list[Rollouts]:
    return [
        replace(
            group, rewards=tuple(NOT_FINITE if (p, c) in places else r for c, r in enumerate(group.rewards))
        )
        for p, group in enumerate(rollouts)
    ]


def same(ours: list[Share], theirs: list[Share]) -> bool:
    def equal(a: Share, b: Share, name: str) -> bool:
        one, other = getattr(a, name), getattr(b, name)
        if name == "groups":
            return [g.completions for g in one] == [g.completions for g in other]
        return one is other if one is None else torch.allclose(one, other, atol=1e-6, rtol=0)

    pairs = zip(ours, theirs, strict=True)
    return all(equal(a, b, name) for a, b in pairs for name in Share.__dataclass_fields__)


def collection(
    policy: TokenPolicy, rollouts: list[Rollouts], objective: Objective, config: RLConfig = CONFIG
) -> tuple[Collection, Iterator[list[Share]]]:
    scorer = reference(policy) if objective.beta > 0 else None
    made = Collection(policy, objective, config, rollouts, [None] * len(rollouts), scorer)
    return made, made.updates()


@pytest.mark.parametrize("make", [stable_reinforce, grpo, ppo])
@pytest.mark.parametrize("updates_per_batch", [1, 2])
def test_without_a_sample_is_as_if_it_had_failed(
    make: Callable[[], Objective], updates_per_batch: int, policy: TokenPolicy, rollouts: list[Rollouts]
) -> None:
    config = replace(CONFIG, updates_per_batch=updates_per_batch, num_iterations=2)
    whole, updates = collection(policy, rollouts, make(), config)
    lesser, expected = collection(policy, failed(rollouts, (0, 1)), make(), config)
    first = next(updates)
    assert whole.places[1] == (0, 1) and sum(len(g.completions) for s in first for g in s.groups) > 1
    mended = whole.without([1])
    assert mended and same(mended, next(expected))
    # It stays out of the later updates, too.
    rest = list(zip(updates, expected, strict=True))
    assert len(rest) == 2 * updates_per_batch - 1 and all(same(ours, theirs) for ours, theirs in rest)
    assert whole.places == lesser.places and whole.metrics == pytest.approx(lesser.metrics, nan_ok=True)
    assert whole.spread()[0][1] is None and whole.rollouts == lesser.rollouts


def test_rows_are_counted_anew(policy: TokenPolicy, rollouts: list[Rollouts]) -> None:
    made, updates = collection(policy, rollouts, stable_reinforce())
    next(updates)
    made.without([0, 4])
    assert made.places == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2)]
    made.without([2])
    assert made.places == [(0, 1), (0, 2), (1, 2), (2, 0), (2, 1), (2, 2)]


def test_a_prompt_with_too_few_samples_leaves_its_part_and_no_other(
    policy: TokenPolicy, rollouts: list[Rollouts]
) -> None:
    """RLOO needs two samples of a prompt; the parts of the batch stay what they were."""
    made, updates = collection(policy, rollouts, rloo(), replace(CONFIG, updates_per_batch=3))
    next(updates)
    assert made.without([0, 1]) == []
    assert made.prompts == [1, 2]
    found = [([len(g.completions) for s in shares for g in s.groups], made.current()) for shares in updates]
    # The prompt that no update has is shown with each.
    assert found == [([3], [0, 1]), ([3], [0, 2])]


def test_nothing_changes_where_nothing_would_be_left(policy: TokenPolicy, rollouts: list[Rollouts]) -> None:
    made, updates = collection(policy, rollouts, stable_reinforce())
    next(updates)
    assert made.without(range(9)) == []
    assert len(made.places) == 9 and made.rollouts == tuple(rollouts)


def test_a_collection_without_rewards_is_an_error(policy: TokenPolicy, rollouts: list[Rollouts]) -> None:
    everything = [(p, c) for p in range(3) for c in range(3)]
    with pytest.raises(TrainingError, match="no prompt of the batch has enough rewarded samples"):
        collection(policy, failed(rollouts, *everything), stable_reinforce())
