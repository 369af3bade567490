"""A collection without a sample is the collection in which that sample had failed."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from stablereward.data.prompts import r1_reward
from stablereward.data.toy.pairs import pairs
from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.errors import TrainingError
from stablereward.objectives.named import dapo, dr_grpo, grpo, ppo, reinforce, rloo, stable_reinforce
from stablereward.objectives.objective import Objective
from stablereward.policies.adapters import reference
from stablereward.policies.completions import completions
from stablereward.policies.policy import Scored
from stablereward.policies.token import TokenPolicy
from stablereward.policies.value_head import add_value_head
from stablereward.training.collection import NOT_FINITE, Collection
from stablereward.training.policy_gradient import RLConfig, Share, policy_loss
from stablereward.types import Completion, Failure, Group, Prompt, Reward

CONFIG = RLConfig(updates_per_batch=1, max_completion_length=12)
SAMPLING = Sampling(num_generations=3, temperature=3.0, max_completion_length=12, seed=1)


@pytest.fixture(scope="module")
def policy() -> TokenPolicy:
    torch.manual_seed(0)
    policy = TokenPolicy.load("toy-base", device="cpu")
    add_value_head(policy)
    return policy


@pytest.fixture(scope="module")
def rollouts(policy: TokenPolicy) -> list[Group[Prompt, Completion]]:
    prompts = [r1_reward(pair.preference()) for pair in pairs(3, seed=5)]
    outputs = HFEngine(policy).sample(prompts, SAMPLING)
    rewards = iter(Reward(value=value / 7) for value in (1, 5, 2, 8, 3, 9, 4, 4, 7))
    found = []
    for prompt, output in zip(prompts, outputs, strict=True):
        assert not isinstance(output, Failure)
        found.append(Group(prompt=prompt, trajectories=output, rewards=tuple(next(rewards) for _ in output)))
    return found


def failed(
    rollouts: list[Group[Prompt, Completion]], *places: tuple[int, int]
) -> list[Group[Prompt, Completion]]:
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
            return [g.trajectories for g in one] == [g.trajectories for g in other]
        if name == "cost":
            return bool(one == other)
        return one is other if one is None else torch.allclose(one, other, atol=1e-6, rtol=0)

    pairs = zip(ours, theirs, strict=True)
    return all(equal(a, b, name) for a, b in pairs for name in Share.__dataclass_fields__)


def collection(
    policy: TokenPolicy,
    rollouts: list[Group[Prompt, Completion]],
    objective: Objective,
    config: RLConfig = CONFIG,
) -> tuple[Collection, Iterator[list[Share]]]:
    scorer = reference(policy) if objective.beta > 0 else None
    made = Collection(completions(policy), objective, config, rollouts, [None] * len(rollouts), scorer)
    return made, made.updates()


@pytest.mark.parametrize("make", [stable_reinforce, grpo, ppo])
@pytest.mark.parametrize("updates_per_batch", [1, 2])
def test_without_a_sample_is_as_if_it_had_failed(
    make: Callable[[], Objective],
    updates_per_batch: int,
    policy: TokenPolicy,
    rollouts: list[Group[Prompt, Completion]],
) -> None:
    config = replace(CONFIG, updates_per_batch=updates_per_batch, num_iterations=2)
    whole, updates = collection(policy, rollouts, make(), config)
    lesser, expected = collection(policy, failed(rollouts, (0, 1)), make(), config)
    first = next(updates)
    assert whole.places[1] == (0, 1) and sum(len(g.trajectories) for s in first for g in s.groups) > 1
    mended = whole.without([1])
    assert mended and same(mended, next(expected))
    # It stays out of the later updates, too.
    rest = list(zip(updates, expected, strict=True))
    assert len(rest) == 2 * updates_per_batch - 1 and all(same(ours, theirs) for ours, theirs in rest)
    assert whole.places == lesser.places and whole.metrics == pytest.approx(lesser.metrics, nan_ok=True)
    assert whole.spread()[0][1] is None and whole.groups == lesser.groups


def cut(
    rollouts: list[Group[Prompt, Completion]], *places: tuple[int, int]
) -> list[Group[Prompt, Completion]]:
    """The rollouts where the length limit cut these completions and no other."""
    return [
        replace(
            group,
            trajectories=tuple(
                replace(one, finished=(p, c) not in places) for c, one in enumerate(group.trajectories)
            ),
        )
        for p, group in enumerate(rollouts)
    ]


@pytest.mark.parametrize("make", [stable_reinforce, grpo, dr_grpo, dapo, ppo])
def test_what_was_cut_leaves_the_loss_and_stays_in_the_statistics(
    make: Callable[[], Objective], policy: TokenPolicy, rollouts: list[Group[Prompt, Completion]]
) -> None:
    objective, some = make(), cut(rollouts, (0, 1), (2, 2))
    masking = replace(CONFIG, mask_truncated_completions=True)
    plain, updates = collection(policy, some, objective)
    masked, masked_updates = collection(policy, some, objective, masking)
    [ours], [theirs] = next(masked_updates), next(updates)
    place = {row: n for n, row in enumerate(ours.rows_B.tolist())}
    gone_B = torch.zeros(9, dtype=torch.bool)
    gone_B[[place[1], place[8]]] = True
    mask_BT = theirs.weights_BT > 0
    # The others share the loss as if the two had not been drawn, and are held against all nine.
    assert torch.equal(ours.weights_BT, objective.reduction(mask_BT & ~gone_B[:, None]))
    assert torch.equal(ours.weights_BT[gone_B], torch.zeros_like(ours.weights_BT[gone_B]))
    assert (ours.weights_BT > 0).sum() == mask_BT[~gone_B].sum()
    assert torch.equal(ours.advantages_BT, theirs.advantages_BT)
    assert masked.spread() == plain.spread()
    assert masked.metrics == pytest.approx({**plain.metrics, "completions/masked": 2 / 9})
    assert "completions/masked" not in plain.metrics


def test_what_was_cut_stays_out_of_the_loss_when_another_sample_is_left_out(
    policy: TokenPolicy, rollouts: list[Group[Prompt, Completion]]
) -> None:
    masking = replace(CONFIG, mask_truncated_completions=True)
    made, updates = collection(policy, cut(rollouts, (0, 1), (2, 2)), stable_reinforce(), masking)
    next(updates)
    [mended] = made.without([0, 8])
    assert made.places[0] == (0, 1) and len(mended.rows_B) == 7
    in_loss_B = (mended.weights_BT > 0).any(dim=1)
    assert mended.rows_B[~in_loss_B].tolist() == [0]
    assert made.metrics["completions/masked"] == pytest.approx(1 / 7)


def test_nothing_is_learnt_where_everything_was_cut(
    policy: TokenPolicy, rollouts: list[Group[Prompt, Completion]]
) -> None:
    masking = replace(CONFIG, mask_truncated_completions=True)
    everything = cut(rollouts, *((p, c) for p in range(3) for c in range(3)))
    [share] = next(collection(policy, everything, stable_reinforce(), masking)[1])
    loss = policy_loss(completions(policy).score, stable_reinforce(), share)
    assert loss.value.item() == 0.0 and loss.metrics["policy/weight"].item() == 0.0


def test_the_pull_in_the_reward_by_hand(
    policy: TokenPolicy, rollouts: list[Group[Prompt, Completion]]
) -> None:
    """The reference says 0.25 less of every token: l is 0.25 at each, which costs reward."""

    def less(groups: Sequence[Group[Prompt, Completion]]) -> Scored:
        scored = completions(policy).score(groups)
        return scored._replace(logprobs_BT=scored.logprobs_BT - 0.25)

    made = Collection(completions(policy), reinforce(beta=0.1), CONFIG, rollouts, [None] * 3, less)
    for row, (p, c) in enumerate(made.places):
        reward, length = rollouts[p].rewards[c], rollouts[p].trajectories[c].num_steps
        assert isinstance(reward, Reward)
        # Return-to-go: the first token pays for all, the last for itself.
        paid = made.advantages.values_BT[row, :length]
        assert paid[0].item() == pytest.approx(reward.value - 0.1 * 0.25 * length, abs=1e-4)
        assert paid[-1].item() == pytest.approx(reward.value - 0.1 * 0.25, abs=1e-4)


def test_the_pull_in_the_loss_by_hand_of_a_collection(
    policy: TokenPolicy, rollouts: list[Group[Prompt, Completion]]
) -> None:
    """A reference that says twice as much of every token: l = -log 2, k3 = 2 - log 2 - 1."""

    def more(groups: Sequence[Group[Prompt, Completion]]) -> Scored:
        scored = completions(policy).score(groups)
        return scored._replace(logprobs_BT=scored.logprobs_BT + math.log(2))

    objective = grpo(beta=0.5)
    [share] = next(Collection(completions(policy), objective, CONFIG, rollouts, [None] * 3, more).updates())
    pulled = policy_loss(completions(policy).score, objective, share)
    plain = policy_loss(completions(policy).score, grpo(beta=0.0), share)
    expected = 2 - math.log(2) - 1
    assert (pulled.value - plain.value).item() == pytest.approx(0.5 * expected, abs=1e-4)
    assert pulled.metrics["policy/kl_reference"].item() == pytest.approx(expected, abs=1e-4)


def rewarded(rollouts: list[Group[Prompt, Completion]], *values: float) -> list[Group[Prompt, Completion]]:
    """The rollouts with these rewards for the three samples of each prompt."""
    earned = iter(values)
    return [
        replace(group, rewards=tuple(Reward(value=next(earned)) for _ in group.rewards)) for group in rollouts
    ]


@pytest.mark.parametrize(
    ("values", "of_the_batch", "of_prompts"),
    [
        ((0.1,) * 9, 1.0, 1.0),
        # Prompts differ from each other, their samples do not.
        ((0.1,) * 3 + (0.7,) * 6, 0.0, 1.0),
        ((0.1,) * 8 + (0.7,), 0.0, 0.0),
    ],
)
def test_rewards_are_flat_where_none_differs_from_those_it_is_held_against(
    values: tuple[float, ...],
    of_the_batch: float,
    of_prompts: float,
    policy: TokenPolicy,
    rollouts: list[Group[Prompt, Completion]],
) -> None:
    for make, expected in ((stable_reinforce, of_the_batch), (rloo, of_prompts)):
        made, _ = collection(policy, rewarded(rollouts, *values), make())
        assert made.metrics["advantages/flat"] == expected


@pytest.mark.parametrize(("updates", "iterations"), [(1, 1), (1, 2), (3, 1)])
def test_what_the_policy_said_when_it_sampled_is_kept_for_more_than_one_update(
    updates: int, iterations: int, policy: TokenPolicy, rollouts: list[Group[Prompt, Completion]]
) -> None:
    config = replace(CONFIG, updates_per_batch=updates, num_iterations=iterations)
    made, taken = collection(policy, rollouts, stable_reinforce(), config)
    shares = [share for batch in taken for share in batch]
    assert len(shares) == updates * iterations
    assert all((share.old_logprobs_BT is not None) == (len(shares) > 1) for share in shares)
    if made.old is not None:
        for share in shares:
            length = share.weights_BT.shape[1]
            assert share.old_logprobs_BT is not None
            assert torch.equal(share.old_logprobs_BT, made.old.logprobs_BT[share.rows_B, :length])


@contextmanager
def saying(policy: TokenPolicy, value: float) -> Iterator[None]:
    """The critic says this of every token."""
    out = policy.value_head.out  # type: ignore[union-attr]
    with torch.no_grad():
        out.bias.fill_(value)
        yield
        out.bias.fill_(0.0)


def test_a_critic_is_to_say_what_is_still_to_come(
    policy: TokenPolicy, rollouts: list[Group[Prompt, Completion]]
) -> None:
    """With gamma and lambda 1 the return of every token is its sample's reward, whatever the critic says."""
    with saying(policy, 0.75):
        made, updates = collection(policy, rollouts, ppo(lam=1.0))
        [share] = next(updates)
    assert share.returns_BT is not None and share.old_values_BT is not None
    for row, (p, c) in enumerate(made.places[n] for n in share.rows_B.tolist()):
        reward, length = rollouts[p].rewards[c], rollouts[p].trajectories[c].num_steps
        assert isinstance(reward, Reward)
        assert share.returns_BT[row, :length].tolist() == pytest.approx([reward.value] * length, abs=1e-5)
        assert share.old_values_BT[row, :length].tolist() == pytest.approx([0.75] * length)


def test_the_critics_loss_has_its_weight(
    policy: TokenPolicy, rollouts: list[Group[Prompt, Completion]]
) -> None:
    [share] = next(collection(policy, rollouts, ppo(lam=1.0))[1])
    with saying(policy, 0.1):
        alone, some = (
            policy_loss(completions(policy).score, ppo(lam=1.0), share, value_coefficient=weight)
            for weight in (0.0, 0.25)
        )
    # The critic moved from 0 to 0.1, within its clip of 0.2: half the mean squared error to the rewards.
    weights_BT, returns_BT = share.weights_BT, share.returns_BT
    assert returns_BT is not None
    expected = float((weights_BT * (0.1 - returns_BT) ** 2).sum() / 2)
    assert float(some.metrics["value/loss"]) == pytest.approx(expected, rel=1e-4)
    assert float(some.value - alone.value) == pytest.approx(0.25 * expected, rel=1e-3)


def test_rows_are_counted_anew(policy: TokenPolicy, rollouts: list[Group[Prompt, Completion]]) -> None:
    made, updates = collection(policy, rollouts, stable_reinforce())
    next(updates)
    made.without([0, 4])
    assert made.places == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2)]
    made.without([2])
    assert made.places == [(0, 1), (0, 2), (1, 2), (2, 0), (2, 1), (2, 2)]


def test_a_prompt_with_too_few_samples_leaves_its_part_and_no_other(
    policy: TokenPolicy, rollouts: list[Group[Prompt, Completion]]
) -> None:
    """RLOO needs two samples of a prompt; the parts of the batch stay what they were."""
    made, updates = collection(policy, rollouts, rloo(), replace(CONFIG, updates_per_batch=3))
    next(updates)
    assert made.without([0, 1]) == []
    assert made.prompts == [1, 2]
    found = [([len(g.trajectories) for s in shares for g in s.groups], made.current()) for shares in updates]
    # The prompt that no update has is shown with each.
    assert found == [([3], [0, 1]), ([3], [0, 2])]


def test_nothing_changes_where_nothing_would_be_left(
    policy: TokenPolicy, rollouts: list[Group[Prompt, Completion]]
) -> None:
    made, updates = collection(policy, rollouts, stable_reinforce())
    next(updates)
    assert made.without(range(9)) == []
    assert len(made.places) == 9 and made.groups == tuple(rollouts)


def test_a_collection_without_rewards_is_an_error(
    policy: TokenPolicy, rollouts: list[Group[Prompt, Completion]]
) -> None:
    everything = [(p, c) for p in range(3) for c in range(3)]
    with pytest.raises(TrainingError, match="no prompt of the batch has enough rewarded samples"):
        collection(policy, failed(rollouts, *everything), stable_reinforce())
