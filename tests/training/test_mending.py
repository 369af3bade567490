"""Which sample is to blame; the update without it is in tests/e2e/test_faults.py."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from stablereward.data.prompts import r1_reward
from stablereward.data.toy.pairs import pairs
from stablereward.engines.hf import HFEngine
from stablereward.objectives.named import ppo
from stablereward.policies.completions import describe
from stablereward.policies.token import TokenPolicy
from stablereward.policies.value_head import add_value_head
from stablereward.recipes.completions import completion_collector
from stablereward.rewards.reward import Sample
from stablereward.runs.folder import RunFolder
from stablereward.training.collect import Collector
from stablereward.training.mending import Mender, alone, first_not_finite
from stablereward.training.policy_gradient import RLConfig, Share, policy_loss
from stablereward.training.recorder import Recorder
from stablereward.training.samples import sample_name
from stablereward.types import Reward

CONFIG = RLConfig(
    num_updates=1,
    prompts_per_batch=2,
    num_generations=3,
    updates_per_batch=1,
    temperature=3.0,
    max_completion_length=10,
)


def length(sample: Sample) -> Reward:
    return Reward(value=len(sample.completion.text) / 100)


@pytest.fixture
def policy() -> TokenPolicy:
    policy = TokenPolicy.load("toy-base", device="cpu")
    add_value_head(policy)
    return policy


@pytest.fixture
def collector(policy: TokenPolicy) -> Collector:
    return completion_collector(policy, HFEngine(policy), length, ppo(), CONFIG)


def batch_of(collector: Collector) -> list[Share]:
    [batch] = collector.batches([r1_reward(pair.preference()) for pair in pairs(2, seed=3)], seed=0)
    return batch


def test_samples_alone_add_up_to_their_micro_batch(collector: Collector) -> None:
    loss_fn = partial(policy_loss, collector.family.score, collector.objective)
    [share] = batch_of(collector)
    samples = list(alone(share))
    assert [int(one.rows_B) for one in samples] == share.rows_B.tolist()
    assert len(samples) == 6 and share.returns_BT is not None
    for one in samples:
        assert [len(g.trajectories) for g in one.groups] == [1]
        assert one.advantages_BT.shape == (1, one.groups[0].trajectories[0].num_steps)
    with torch.no_grad():
        whole, parts = loss_fn(share), [loss_fn(one) for one in samples]
    torch.testing.assert_close(sum(p.value for p in parts), whole.value, atol=1e-5, rtol=1e-5)
    for name, value in whole.metrics.items():
        torch.testing.assert_close(sum(p.metrics[name] for p in parts), value, atol=1e-5, rtol=1e-5)


def test_where_no_sample_alone_is_to_blame_the_update_is_skipped(
    policy: TokenPolicy, collector: Collector, tmp_path: Path
) -> None:
    loss_fn = partial(policy_loss, collector.family.score, collector.objective)
    batch = batch_of(collector)
    assert Mender(RunFolder(tmp_path), "rl", policy, collector, loss_fn)(7, batch) is None
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {
        "event": "non_finite",
        "stage": "rl",
        "update": 7,
        "tensor": "sum over the samples",
        "action": "update skipped",
    }
    assert all(p.grad is None for p in policy.parameters())
    assert collector.last is not None and collector.last.metrics["failures/count"] == 0.0


def test_a_critic_that_is_not_finite_for_one_sample_does_not_spoil_the_rest(
    policy: TokenPolicy, collector: Collector, tmp_path: Path
) -> None:
    """Its value spoils the whitening of all samples' advantages; only it is to blame."""
    loss_fn = partial(policy_loss, collector.family.score, collector.objective)
    batch_of(collector)
    collection = collector.collection
    assert collection is not None and collection.old is not None and collection.old.values_BT is not None
    collection.old.values_BT[4, 0] = torch.nan
    collection._weigh()
    name = sample_name(collection.groups, (1, 1))
    spoilt_BT = collection.advantages.values_BT
    assert not (spoilt_BT[:4].isfinite().all() and spoilt_BT[:4].any())
    run = RunFolder(tmp_path)
    recorder = Recorder(run, "rl", describe)
    [spoilt] = collection.shares()
    loss_fn(spoilt, observe=recorder.observe)
    mended = Mender(run, "rl", policy, collector, loss_fn, recorder)(1, [spoilt])
    assert mended is not None and mended[1] == 1
    assert name.startswith("prompt 2 (") and name.endswith("), completion 2")
    [share] = mended[0]
    assert len(share.rows_B) == 5 and share.advantages_BT.isfinite().all() and share.advantages_BT.any()
    event = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert (event["sample"], event["tensor"]) == (name, "values")
    # What was heard of the update before it was made again does not count.
    loss_fn(share, observe=recorder.observe)
    assert collector.last is not None
    recorder.record(1, collector.last)
    heard = json.loads((tmp_path / "distributions.jsonl").read_text())["quantities"]["policy/entropy"]
    assert heard["count"] == sum(t.num_steps for group in share.groups for t in group.trajectories)


def test_the_first_that_is_not_finite_is_named() -> None:
    one = torch.ones(2)
    assert first_not_finite(iter([("a", one), ("b", one / 0), ("c", one * torch.nan)])) == "b"
    assert first_not_finite(iter([("a", one)])) is None
