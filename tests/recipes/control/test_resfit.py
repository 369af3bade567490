"""ResFiT: its two losses by hand, the tiny run, a kill at any moment, and the classes of the full scale."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from stablereward.config import dump, resolve
from stablereward.errors import ConfigError
from stablereward.policies.control import ChunkPolicy, Residual
from stablereward.recipes.control import resfit
from stablereward.recipes.control.agent import Agent, Batch
from stablereward.recipes.control.base import Base, Task, demonstrations
from stablereward.recipes.control.resfit import Config, actor_loss, critic_loss
from stablereward.training.replay import Transitions
from stablereward.worlds.environments import PUSH

SMALL = (
    "task.num_shown=4",
    "task.num_envs=3",
    "task.measured=6",
    "task.measured_often=4",
    "task.measure_every=10",
    "imitation.num_updates=20",
    "imitation.batch_size=16",
    "networks.hidden=8",
    "networks.heads=3",
    "learning.num_iterations=25",
    "learning.learning_starts=180",
    "learning.warm_up=9",
    "learning.batch_size=16",
    "learning.capacity=240",
    "save_every=7",
)


def small(output: Path, *changes: str) -> Config:
    return resolve(Config, None, [*SMALL, *changes, f"output={output}"], base=resfit.tiny())


def agent(**changes: object) -> Agent:
    config = small(Path("unused"))
    task = config.task
    shown = demonstrations(task, 0)
    torch.manual_seed(0)
    policy = ChunkPolicy(observation=10, action=2, chunk=4, hidden=8).requires_grad_(False)
    return Agent(task, replace(config.networks, **changes), config.learning, policy, shown, seed=0)


class Said(torch.nn.Module):
    """Critics that say what they are told: head · factor + sum of the actions."""

    def __init__(self, factors: list[float]) -> None:
        super().__init__()
        self.factors = torch.nn.Parameter(torch.tensor(factors))

    def forward(self, seen: Tensor, done: Tensor) -> Tensor:
        return self.factors[:, None] + done.sum(-1)


def steps(base: float, *, returns: float = 1.0, worth: float = 0.5) -> Transitions:
    one = torch.full((1, 2), base)
    seen = torch.zeros(1, 10)
    return Transitions(seen, one, one, torch.tensor([returns]), torch.tensor([worth]), seen, one)


def test_the_target_by_hand() -> None:
    """y = 1 + 0.5 · min(10 + 0.6, 20 + 0.6), where a' = 0.2 + 0.3 of clipped noise, head 2 left out."""
    made = agent()
    made.target_critics, made.critics = Said([10.0, 20.0, 1.0]), Said([1.0, 2.0, 3.0])
    noise = torch.tensor([[0.7, -0.1]])
    loss = critic_loss(made, Batch(steps(0.2), noise, torch.tensor([1, 0])))
    target = 1 + 0.5 * (10 + 0.5 + 0.1)
    assert loss.metrics["critic/target"].item() == pytest.approx(target)
    said = [1.4, 2.4, 3.4]
    assert loss.value.item() == pytest.approx(sum((value - target) ** 2 for value in said) / 3)
    loss.value.backward()
    assert made.target_critics.factors.grad is None and made.critics.factors.grad.abs().min() > 0
    assert all(p.grad is None for p in (*made.actor.parameters(), *made.target_actor.parameters()))


def test_the_actor_goes_up_the_mean_of_all_heads_and_leaves_them_alone() -> None:
    made = agent()
    loss = actor_loss(made, steps(0.2))
    mean = made.critics(torch.zeros(1, 10), torch.full((1, 2), 0.2)).mean()
    assert loss.value.item() == pytest.approx(-mean.item()) and loss.metrics["residual/size"] == 0
    loss.value.backward()
    assert made.actor.net.weights[-1].grad.abs().sum() > 0
    assert all(p.grad is None for p in made.critics.parameters())


def test_a_new_agent_is_its_base_and_its_averages_are_itself() -> None:
    made = agent()
    now = made.experience
    assert torch.equal(made.act(now.observation, now.base), now.base)
    for ours, theirs in ((made.critics, made.target_critics), (made.actor, made.target_actor)):
        pairs = zip(ours.parameters(), theirs.parameters(), strict=True)
        assert all(torch.equal(a, b) and not b.requires_grad for a, b in pairs)


def test_the_clock_of_steps_updates_and_averages() -> None:
    """180 steps to begin with, nothing in the warm-up, then one of all three tables every 4 updates."""
    made = agent()
    batches = made.critic_batches(0)
    counts = []
    for _ in range(9 + 9):
        [batch] = next(batches)
        counts.append(made.experience.num_steps)
        assert len(batch.heads_N) == 2 and len(batch.steps.returns) == 16
    assert counts == [180] * 9 + [183] * 4 + [186] * 4 + [189]
    average, leader = made.target_critics.net.biases[0], made.critics.net.biases[0]
    before = average.clone()
    with torch.no_grad():
        leader.add_(1.0)
    next(batches)
    torch.testing.assert_close(average, before + made.learning.tau)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("resfit") / "whole"
    return resfit.run(small(folder))


def rows(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_run_leaves_all_there_is_to_see(whole: Path) -> None:
    logged = [row for row in rows(whole) if row.get("stage") == "residual"]
    assert [row["learner"] for row in logged[:15]] == ["critic"] * 13 + ["actor"] + ["critic"]
    assert len(logged) == 9 + 25 * 5
    assert [row["update"] for row in logged if "evaluation/success" in row] == [59, 109]
    assert (
        logged[-1]["env_steps"] == 180 + 25 * 3
        and {"episodes/reward", "episodes/success"} <= logged[-1].keys()
    )
    figures = json.loads((whole / "figures.json").read_text())
    assert {"success", "success_base", "residual", "success_mean", "env_steps"} <= figures.keys()
    [shown, *_] = [
        json.loads(line) for line in (whole / "rollouts/residual-000020.jsonl").read_text().splitlines()
    ]
    assert (whole / shown["completions"][0]["images"][0]).exists() and shown["completions"][0]["reward"] in (
        0,
        1,
    )
    page = (whole / "report.html").read_text()
    assert "Success" in page and "Episode of seed 0" in page and "data:image" in page
    assert Residual.load(whole / "policy/residual").scale == resfit.tiny().networks.scale
    assert not list(whole.rglob("*.pt")) and not list(whole.rglob("*.bin"))


def same(folder: Path, whole: Path) -> None:
    names = [
        "metrics.jsonl",
        "figures.json",
        *(f"rollouts/{path.name}" for path in (whole / "rollouts").iterdir()),
    ]
    names += [f"policy/{part}/model.safetensors" for part in ("base", "residual", "critics")]
    for name in names:
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    sets = [part for setting in (*SMALL, f"output={folder}") for part in ("--set", setting)]
    command = [sys.executable, "-m", "stablereward", "train", "resfit", "--tiny", *sets]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    rng = random.Random(os.getpid())
    for number, share in enumerate(sorted(rng.uniform(0.1, 0.95) for _ in range(2))):
        process = subprocess.Popen(
            [*command, *(["--resume"] if number else [])], env=environment, stderr=subprocess.DEVNULL
        )
        wanted, log = int(share * len(rows(whole))), folder / "metrics.jsonl"
        while process.poll() is None:
            if log.exists() and log.read_bytes().count(b"\n") >= wanted:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.002)
        process.wait()
    resfit.run(small(folder), resume=True)
    same(folder, whole)


def test_a_finished_run_does_nothing_again(whole: Path) -> None:
    before = (whole / "metrics.jsonl").read_bytes()
    resfit.run(small(whole), resume=True)
    assert (whole / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize("arm", resfit.EXPERIMENT.arms)
def test_every_arm_runs(arm: str, tmp_path: Path) -> None:
    own = resfit.EXPERIMENT.arms[arm].changes
    smaller = [one for one in SMALL if arm != "scratch" or not one.startswith("imitation")]
    config = resolve(Config, None, [*smaller, *own, f"output={tmp_path}"], base=resfit.tiny())
    resfit.run(replace(config, learning=replace(config.learning, num_iterations=10)))
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["env_steps"]["value"] == 210
    assert (arm == "scratch") == (config.imitation is None)


def test_the_paper_s_settings_are_the_default_and_can_be_shown() -> None:
    config = Config()
    assert resolve(Config, None, []) == config and "learning_rate: 1.0e-06" in dump(config)
    assert (config.networks.heads, config.networks.subset, config.learning.critic_updates) == (10, 2, 4)
    assert "300000 steps takes" in resfit.plan(config, gpu=True).words


def test_the_classes_of_the_full_scale_make_two_updates(tmp_path: Path) -> None:
    """An environment of gymnasium's own, demonstrations from a file, all constants but the counts."""
    file, num = tmp_path / "shown.safetensors", 40
    over = torch.arange(num) % 20 == 19
    columns = {
        "observation": torch.randn(num, 2),
        "action": torch.rand(num, 1),
        "reward": over.float(),
        "terminated": over.clone(),
        "over": over,
        "next_observation": torch.randn(num, 2),
    }
    save_file(columns, file)
    full = Config()
    config = replace(
        full,
        task=replace(
            full.task,
            environment="MountainCarContinuous-v0",
            demonstrations=str(file),
            measured=1,
            measure_every=9,
        ),
        imitation=replace(full.imitation or Base(), num_updates=2),
        learning=replace(full.learning, num_iterations=2, learning_starts=30, warm_up=2),
        output=tmp_path / "run",
    )
    resfit.run(config)
    assert [row["learner"] for row in rows(tmp_path / "run") if row["stage"] == "residual"].count(
        "actor"
    ) == 2


def test_a_missing_environment_is_said_before_anything_is_done(tmp_path: Path) -> None:
    config = replace(Config(), task=Task(environment="nothing-v0"), output=tmp_path / "run")
    with pytest.raises(ConfigError, match="nothing"):
        resfit.run(config)
    assert not (tmp_path / "run").exists()


def test_tiny_is_push() -> None:
    assert resfit.tiny().task.environment == PUSH
