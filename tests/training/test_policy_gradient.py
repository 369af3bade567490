"""Laws of the RL batch: split, failures and staleness never change what they must not change."""

import dataclasses
import math
from collections.abc import Callable, Sequence

import pytest
import torch

from stablereward.data.prompts import r1_reward
from stablereward.data.toy.pairs import pairs
from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.errors import ConfigError, TrainingError
from stablereward.objectives.named import grpo, reinforce, remax, rloo, stable_reinforce
from stablereward.objectives.objective import Objective
from stablereward.policies.completions import completions
from stablereward.policies.token import TokenPolicy
from stablereward.recipes.completions import completion_collector
from stablereward.rewards.reward import Sample
from stablereward.training.collect import Collector
from stablereward.training.policy_gradient import Observed, RLConfig, policy_loss, require_trainable
from stablereward.types import Completion, Failure, Prompt, Reward

# Hot enough that no two samples are the same.
CONFIG = RLConfig(
    temperature=3.0,
    num_updates=1,
    prompts_per_batch=4,
    num_generations=4,
    updates_per_batch=1,
    max_completion_length=24,
)


@pytest.fixture(scope="module")
def policy() -> TokenPolicy:
    return TokenPolicy.load("toy-base")


@pytest.fixture(scope="module")
def prompts() -> list[Prompt]:
    return [r1_reward(pair.preference()) for pair in pairs(4, seed=3)]


def vowels(sample: Sample) -> Reward:
    """Any reward that differs between samples will do."""
    text = sample.completion.text
    return Reward(value=sum(text.count(v) for v in "aeiou") / (1 + len(text)), parts={"vowels": 1.0})


def gradients(
    policy: TokenPolicy,
    prompts: list[Prompt],
    config: RLConfig,
    reward: Callable[[Sample], Reward | Failure] = vowels,
) -> tuple[dict[str, torch.Tensor], dict[str, float], Collector]:
    objective = stable_reinforce()
    collector = completion_collector(policy, HFEngine(policy), reward, objective, config)
    [batch] = list(collector.batches(prompts, seed=0))
    policy.zero_grad()
    totals: dict[str, float] = {}
    for share in batch:
        loss = policy_loss(completions(policy, config.temperature).score, objective, share)
        loss.value.backward()  # type: ignore[no-untyped-call]
        for name, value in {"loss": loss.value.detach(), **loss.metrics}.items():
            totals[name] = totals.get(name, 0.0) + float(value)
    found = {n: p.grad.clone() for n, p in policy.named_parameters() if p.grad is not None}
    policy.zero_grad()
    return found, totals, collector


def assert_equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], tolerance: float = 1e-5) -> None:
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=0, atol=tolerance, msg=name)


def test_a_nucleus_is_not_trained_with() -> None:
    """The sampler would draw from it and the trainer score without it."""
    for top_p in (0.99, 0.5):
        with pytest.raises(ConfigError, match=rf"top_p is {top_p}; in training it must be 1") as refused:
            RLConfig(top_p=top_p)
        assert "\n" not in str(refused.value)
    assert RLConfig().top_p == 1.0


@pytest.mark.parametrize("make", [reinforce, rloo, remax])
@pytest.mark.parametrize(("updates", "iterations"), [(2, 1), (1, 2), (4, 3)])
def test_without_a_ratio_one_update_a_collection(
    make: Callable[[], Objective], updates: int, iterations: int, policy: TokenPolicy
) -> None:
    config = dataclasses.replace(CONFIG, updates_per_batch=updates, num_iterations=iterations)
    with pytest.raises(ConfigError, match=rf"{make().name} .* must be 1, not {updates * iterations}$"):
        completion_collector(policy, HFEngine(policy), vowels, make(), config)
    completion_collector(policy, HFEngine(policy), vowels, make(), CONFIG)
    require_trainable(stable_reinforce(), config)


def test_a_group_of_one_is_refused_where_samples_are_compared() -> None:
    config = dataclasses.replace(CONFIG, num_generations=1)
    with pytest.raises(ConfigError, match=r"grpo .* num_generations must be at least 2, not 1"):
        require_trainable(grpo(), config)
    require_trainable(stable_reinforce(), config)


def test_micro_batch_split_never_matters(policy: TokenPolicy, prompts: list[Prompt]) -> None:
    whole, metrics, _ = gradients(policy, prompts, CONFIG)
    split, parts, _ = gradients(policy, prompts, dataclasses.replace(CONFIG, token_budget=1))
    assert_equal(whole, split)
    assert parts == pytest.approx(metrics, abs=1e-5)
    assert max(float(g.abs().max()) for g in whole.values()) > 1e-4


def test_first_update_is_on_policy(policy: TokenPolicy, prompts: list[Prompt]) -> None:
    _, metrics, _ = gradients(policy, prompts, CONFIG)
    assert metrics["policy/engine_gap"] < 1e-5
    assert metrics["policy/approx_kl"] == 0.0
    stale = dataclasses.replace(CONFIG, num_updates=2, updates_per_batch=2)
    collector = completion_collector(policy, HFEngine(policy), vowels, stable_reinforce(), stale)
    first, second = collector.batches(prompts, seed=0)
    assert all(share.old_logprobs_BT is not None for share in (*first, *second))


@dataclasses.dataclass
class Otherwise:
    """An engine that draws from another distribution than it is asked to."""

    engine: HFEngine
    changed: dict[str, float]

    async def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> list[tuple[Completion, ...] | Failure]:
        return await self.engine.generate(prompts, dataclasses.replace(sampling, **self.changed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "least", "most"),
    # What is kept of a nucleus has at least its mass: log-probabilities are too large by at most -log 0.8.
    [({}, 0.0, 1e-5), ({"top_p": 0.8}, 0.05, -math.log(0.8)), ({"temperature": 2.0}, 0.1, math.inf)],
)
def test_the_engine_gap_sees_what_is_drawn_otherwise_than_it_is_scored(
    changed: dict[str, float], least: float, most: float, policy: TokenPolicy, prompts: list[Prompt]
) -> None:
    objective = stable_reinforce()
    collector = completion_collector(policy, Otherwise(HFEngine(policy), changed), vowels, objective, CONFIG)
    [shares] = collector.batches(prompts, seed=0)
    with torch.no_grad():
        score = completions(policy, CONFIG.temperature).score
        losses = [policy_loss(score, objective, share) for share in shares]
    assert least <= sum(float(loss.metrics["policy/engine_gap"]) for loss in losses) <= most


def test_what_is_observed_adds_up_to_what_is_measured(policy: TokenPolicy, prompts: list[Prompt]) -> None:
    objective = stable_reinforce()
    stale = dataclasses.replace(CONFIG, num_updates=2, updates_per_batch=2)
    first, _ = completion_collector(policy, HFEngine(policy), vowels, objective, stale).batches(
        prompts, seed=0
    )
    [share] = first
    assert share.old_logprobs_BT is not None
    # The policy of a moment ago said 0.25 more of every token.
    share = dataclasses.replace(share, old_logprobs_BT=share.old_logprobs_BT + 0.25)
    score = completions(policy, CONFIG.temperature).score
    heard: list[Observed] = []
    with torch.no_grad():
        loss = policy_loss(score, objective, share, observe=heard.append)
    [said] = heard
    gap_BT = (said.old_logprobs_BT - said.logprobs_BT)[share.mask_BT]
    torch.testing.assert_close(gap_BT, torch.full_like(gap_BT, 0.25), atol=1e-4, rtol=0)
    assert float(loss.metrics["policy/kl_k1"]) == pytest.approx(0.25, abs=1e-4)
    # The gap is that between the policy as it is and the sampler.
    assert float(loss.metrics["policy/engine_gap"]) < 1e-4
    # k3 of log-ratio -0.25: e^-0.25 - 1 + 0.25.
    assert float(loss.metrics["policy/approx_kl"]) == pytest.approx(0.0288, abs=1e-4)
    entropy = (share.weights_BT * said.entropy_BT).sum()
    torch.testing.assert_close(loss.metrics["policy/entropy"], entropy)


def test_a_failed_sample_stays_isolated(policy: TokenPolicy, prompts: list[Prompt]) -> None:
    """The update equals one in which the failed sample was never drawn."""
    _, _, collector = gradients(policy, prompts, CONFIG)
    assert collector.last is not None
    culprit = collector.last.groups[0].trajectories[1]
    config = dataclasses.replace(CONFIG, max_failure_rate=0.5)

    def failing(sample: Sample) -> Reward | Failure:
        if sample.completion is culprit or sample.completion.token_ids == culprit.token_ids:
            return Failure(reason="referee_failed", detail="dead")
        return vowels(sample)

    def raising(sample: Sample) -> Reward:
        if sample.completion.token_ids == culprit.token_ids:
            raise RuntimeError("boom")
        return vowels(sample)

    def infinite(sample: Sample) -> Reward:
        if sample.completion.token_ids == culprit.token_ids:
            return Reward(value=float("inf"))
        return vowels(sample)

    failed, _, left = gradients(policy, prompts, config, failing)
    for reward in (raising, infinite):
        assert_equal(failed, gradients(policy, prompts, config, reward)[0], 0.0)
    assert left.last is not None
    assert left.last.metrics["failures/count"] == left.last.metrics["failures/referee_failed"] == 1.0
    assert left.last.advantages[0][1] is None
    healthy = [v for group in left.last.advantages for v in group if v is not None]
    assert len(healthy) == 15
    # Whitening over 15 healthy samples, by hand: token-weighted mean and deviation of their returns.
    rewards = [
        (vowels(Sample(prompt=r.prompt, completion=c)).value, len(c.token_ids))
        for r in left.last.groups
        for c in r.trajectories
        if c.token_ids != culprit.token_ids
    ]
    values = torch.tensor([v for v, _ in rewards], dtype=torch.float64)
    lengths = torch.tensor([float(n) for _, n in rewards], dtype=torch.float64)
    mean = (values * lengths).sum() / lengths.sum()
    deviation = ((values - mean) ** 2 * lengths).sum().div(lengths.sum()).sqrt()
    expected = torch.where(((values - mean) / deviation).abs() > 3, 0.0, (values - mean) / deviation)
    torch.testing.assert_close(torch.tensor(healthy).double(), expected, rtol=1e-4, atol=1e-4)


def test_too_many_failures_stop_the_run_with_the_reason(policy: TokenPolicy, prompts: list[Prompt]) -> None:
    with pytest.raises(TrainingError, match=r"16 of 16 .* referee_failed: no route") as stopped:
        gradients(policy, prompts, CONFIG, lambda sample: Failure(reason="referee_failed", detail="no route"))
    assert "\n" not in str(stopped.value)


def test_a_pull_to_the_reference_starts_at_zero(policy: TokenPolicy, prompts: list[Prompt]) -> None:
    objective = grpo(beta=0.1)
    collector = completion_collector(policy, HFEngine(policy), vowels, objective, CONFIG)
    [batch] = list(collector.batches(prompts, seed=0))
    score = completions(policy, CONFIG.temperature).score
    losses = [policy_loss(score, objective, share) for share in batch]
    assert sum(float(loss.metrics["policy/kl_reference"]) for loss in losses) == pytest.approx(0.0, abs=1e-6)
