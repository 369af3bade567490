"""One run of the lab: reinforcement learning from the common start, then the held-out pairs.

`python -m stablereward.lab.run LAB RUN` makes the run that RUN/config.yaml describes: a process of its own,
so that a crash ends one run and not the lab.
"""

import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from stablereward.config import resolve
from stablereward.data.prompts import r1_reward as prompt_of
from stablereward.engines.hf import HFEngine
from stablereward.errors import TrainingError
from stablereward.evaluation.metrics import summarise
from stablereward.lab import outcome
from stablereward.lab.arms import ARMS
from stablereward.lab.jobs import Job
from stablereward.lab.noise import Flipped
from stablereward.lab.outcome import Outcome, Watch
from stablereward.lab.start import Start, in_order_of
from stablereward.lock import held
from stablereward.policies.parts import part_of
from stablereward.policies.token import TokenPolicy
from stablereward.policies.value_head import add_value_head
from stablereward.recipes.completions import completion_collector
from stablereward.recipes.stages import load_policy
from stablereward.rewards.accuracy import accuracy_reward
from stablereward.rewards.compose import r1_reward
from stablereward.rewards.consistency import consistency_reward
from stablereward.rewards.format import format_reward
from stablereward.rewards.reward import RewardFunction
from stablereward.rewards.rule_referee import rule_referee
from stablereward.runs.folder import RunFolder
from stablereward.training.fit import Update
from stablereward.training.learner import Learner, train
from stablereward.training.policy_gradient import Observed, policy_loss
from stablereward.training.recorder import Recorder


def perform(start: Start, folder: Path, job: Job) -> Outcome:
    """Trains, measures and writes `outcome.json`. Weights are not kept, and nothing protects the run.

    A TrainingError is an outcome too: the judge is measured as it then is.
    """
    clock = time.perf_counter()
    policy = load_policy(start.judge(job.regime), start.recipe.hardware, None)
    watch = Watch()
    updates, stopped = _train(start, RunFolder(folder), job, policy, watch)
    rows = start.judged(policy)
    summary = summarise(rows)
    found = Outcome(
        regime=job.regime.name,
        arm=job.arm,
        seed=job.seed,
        flip=job.flip,
        consistency_weight=job.consistency_weight,
        held_out=outcome.HeldOut(
            n=summary.n,
            accuracy=summary.accuracy_mean,
            start_accuracy=start.measured(job.regime).accuracy_mean,
            readable=1 - summary.parse_failures,
            consistent=outcome.consistent_share(rows),
        ),
        course=outcome.course(updates, watch),
        stopped=stopped,
        seconds=round(time.perf_counter() - clock, 1),
    )
    outcome.write(folder, found)
    return found


def reward(job: Job) -> RewardFunction:
    """The recipe's reward with the job's weight and a referee that errs as often as the job says."""
    consistency = consistency_reward(Flipped(rule_referee(), job.flip))
    return r1_reward(format_reward, accuracy_reward, consistency, consistency_weight=job.consistency_weight)


def _train(
    start: Start, run: RunFolder, job: Job, policy: TokenPolicy, watch: Watch
) -> tuple[list[Mapping[str, float]], str | None]:
    """The metrics of every update, and why the run stopped early."""
    objective, rl, parent = ARMS[job.arm](), job.regime.rl, os.getppid()
    if objective.critic:
        add_value_head(policy, job.seed)
    collected = completion_collector(policy, HFEngine(policy), reward(job), objective, rl)
    family = collected.family
    prompts = [prompt_of(one) for one in in_order_of(job.seed, start.prompts(job.regime))]
    recorder = Recorder(run, "rl", family.describe)
    updates: list[Mapping[str, float]] = []

    def observe(seen: Observed) -> None:
        watch(seen)
        recorder.observe(seen)

    def figures(update: Update) -> Mapping[str, float]:
        assert collected.last is not None
        updates.append({**update.metrics, **collected.last.metrics})
        if os.getppid() != parent:
            sys.exit("the lab that began this run is gone")
        return {**collected.last.metrics, **recorder.record(update.number, collected.last)}

    learner = Learner(
        name="policy",
        module=policy,
        batches=lambda first: collected.batches(prompts, job.seed, first),
        loss=lambda share: policy_loss(
            family.score, objective, share, value_coefficient=rl.value_coefficient, observe=observe
        ),
        num_updates=rl.num_updates,
        optim=rl.optim,
        critic=policy.value_head,
        part_of=part_of,
        figures=figures,
        whole=rl.updates_per_collection,
    )
    try:
        train(run, "rl", learner, save_every=rl.num_updates)
    except TrainingError as error:
        return updates, str(error)
    finally:
        shutil.rmtree(run.path / "checkpoints", ignore_errors=True)
    return updates, None


if __name__ == "__main__":
    torch.set_num_threads(1)
    lab, folder = (Path(argument) for argument in sys.argv[1:])
    with held(folder):
        perform(Start(lab), folder, resolve(Job, folder / "config.yaml"))
