import asyncio
import json
from dataclasses import replace

import pytest

import stablereward.lab.run
from stablereward.data.prompts import r1_reward as prompt_of
from stablereward.data.toy.pairs import pairs
from stablereward.lab import outcome
from stablereward.lab.jobs import Job
from stablereward.lab.run import perform, reward
from stablereward.rewards.reward import Sample, apply
from stablereward.types import Completion, Failure, Reward

from .conftest import RL, regime


def test_a_run_leaves_its_outcome_and_no_weights(start, tmp_path):
    job = Job(regime=regime(), arm="ppo", seed=0)
    found = perform(start, tmp_path / "a", job)
    assert outcome.read(tmp_path / "a") == found
    *rows, event = [json.loads(line) for line in (tmp_path / "a/metrics.jsonl").read_text().splitlines()]
    assert [row["update"] for row in rows] == [1, 2]
    assert event == {"event": "no_signal", "stage": "rl", "update": 2, "collections": 2}
    assert found.course.updates == 2 and found.course.reward == rows[-1]["reward/mean"]
    assert found.course.worst_advantage == max(row["advantages/max_abs"] for row in rows)
    assert found.held_out.n == 4 and found.held_out.start_accuracy == start.measured(regime()).accuracy_mean
    assert found.stopped is None and found.course.worst_log_ratio == 0.0
    assert len((tmp_path / "a/distributions.jsonl").read_text().splitlines()) == 2
    assert not list((tmp_path / "a").rglob("*.safetensors"))
    again = perform(start, tmp_path / "b", job)
    assert replace(again, seconds=found.seconds) == found


def test_a_stale_policy_has_ratios(start, tmp_path):
    stale = replace(
        RL, num_generations=8, temperature=1.6, num_iterations=2, optim=replace(RL.optim, learning_rate=1e-3)
    )
    found = perform(start, tmp_path, Job(regime=regime(stale), arm="reinforce_plus_plus", seed=0))
    assert found.course.worst_advantage is not None and found.course.worst_advantage > 0
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    ratios = [row["policy/log_ratio_max"] for row in rows if "event" not in row]
    assert found.course.worst_log_ratio == max(ratios) > 0


def test_a_run_that_cannot_go_on_is_an_outcome(start, tmp_path, monkeypatch):
    dead = Failure(reason="referee_failed", detail="dead")
    monkeypatch.setattr(stablereward.lab.run, "reward", lambda job: lambda sample: dead)
    found = perform(start, tmp_path, Job(regime=regime(), arm="grpo", seed=0))
    assert found.stopped is not None and "samples have no reward" in found.stopped
    assert found.collapsed and found.course.updates == 0
    assert found.held_out.accuracy == found.held_out.start_accuracy
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize(
    ("flip", "weight", "value"), [(0, 0.5, 2.0), (1, 0.5, 1.5), (0, 1, 2.5), (1, 0, 1.5)]
)
def test_the_reward_has_the_jobs_weight_and_noise(flip, weight, value):
    preference = next(iter(pairs(1, seed=0))).preference()
    best = (preference.best or 0) + 1
    text = f"<think>Response {best} is right. Response {3 - best} is wrong.</think><answer>{best}</answer>"
    job = Job(regime=regime(), arm="stable_reinforce", seed=0, flip=flip, consistency_weight=weight)
    sample = Sample(prompt=prompt_of(preference), completion=Completion(text=text))
    earned = asyncio.run(apply(reward(job), sample))
    assert isinstance(earned, Reward) and earned.value == value
