"""The page on metrics has every name that a run writes, and no other."""

import asyncio
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from source import ROOT

from stablereward.data.prompts import r1_reward as ask
from stablereward.data.toy.pairs import pairs
from stablereward.errors import TrainingError
from stablereward.objectives.advantages import Signals
from stablereward.objectives.named import ALL, ppo, stable_reinforce
from stablereward.objectives.objective import Objective
from stablereward.policies.token import Scored, TokenPolicy
from stablereward.policies.tree import Tree
from stablereward.recipes.judges import base_reward, r1_reward
from stablereward.recipes.sources import Data, Toy
from stablereward.recipes.stages import Difficulty, Hardware, reinforce
from stablereward.rewards.reward import Sample, apply
from stablereward.runs.folder import RunFolder
from stablereward.training.imitation import SFTConfig
from stablereward.training.policy_gradient import RLConfig
from stablereward.training.protection import Protection
from stablereward.types import Completion, Failure, Reward
from stablereward.worlds.utility import Utility

PAGE = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
RL = RLConfig(
    num_updates=2, prompts_per_batch=2, num_generations=2, updates_per_batch=1, max_completion_length=16
)


def table(file: str) -> list[list[str]]:
    """The cells of the rows under the heading of a file."""
    _, _, section = PAGE.partition(f"\n## `{file}`\n")
    rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    return [re.split(r"(?<!\\)\|", row)[1:-1] for row in rows]


def documented(file: str) -> set[str]:
    return {name for cells in table(file) for name in re.findall(r"`([^`]+)`", cells[0])}


def general(names: Iterable[str]) -> set[str]:
    """Names as the page has them: reasons of failures are in the table of another page."""
    return {re.sub(r"^failures/(?!count$).*", "failures/REASON", name) for name in names}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole recipe, as short as it can be, with a pull to the start."""
    config = replace(
        r1_reward.tiny(),
        output=tmp_path_factory.mktemp("runs") / "run",
        data=Data(toy=Toy(num_train=8, num_held_out=4)),
        cold_start=SFTConfig(batch_size=4),
        difficulty=Difficulty(num_tries=1, min_tries=1),
        rl=RL,
        stable=r1_reward.Stable(beta=0.1),
        votes=(1, 2),
    )
    return r1_reward.run(config)


@pytest.fixture(scope="module")
def scalar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reward model's run."""
    utility = Utility(num_train=8, num_held_out=4)
    output = tmp_path_factory.mktemp("scalar") / "run"
    return base_reward.run(base_reward.Config(utility=utility, output=output))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose referee fails now and then, and then always."""
    folder = RunFolder(tmp_path_factory.mktemp("stopped"))
    calls = count()

    def reward(sample: Sample) -> Reward | Failure:
        call = next(calls)
        return Failure(reason="referee_failed") if call % 2 or call > 3 else Reward(value=1.0)

    shown = [pair.preference() for pair in pairs(2, seed=0)]
    config = replace(RL, max_failure_rate=0.5)
    with pytest.raises(TrainingError):
        reinforce(folder, "toy-base", shown, reward, stable_reinforce(), config, Hardware())
    return folder.path


@pytest.fixture(scope="module")
def rolled_back(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a critic that collapses by its rule in each update."""
    folder = RunFolder(tmp_path_factory.mktemp("rolled_back"))
    shown = [pair.preference() for pair in pairs(2, seed=0)]
    protection = Protection(action="rollback", patience=1, min_reward=9.0, max_rollbacks=1)
    with pytest.raises(TrainingError, match="after 1 rollbacks"):
        reinforce(folder, "toy-base", shown, length, ppo(), RL, Hardware(), protection=protection)
    return folder.path


@pytest.fixture(scope="module")
def not_finite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose policy has not a number for anything, nor its rewards any difference."""
    folder = RunFolder(tmp_path_factory.mktemp("not_finite"))
    shown = [pair.preference() for pair in pairs(2, seed=0)]
    healthy = TokenPolicy.forward

    def forward(policy: TokenPolicy, tree: Tree, temperature: float = 1.0) -> Scored:
        scored = healthy(policy, tree, temperature)
        return scored._replace(logprobs_BT=scored.logprobs_BT * torch.nan)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TokenPolicy, "forward", forward)
        config = replace(RL, mask_truncated_completions=True)
        reinforce(folder, "toy-base", shown, constant, stable_reinforce(), config, Hardware())
    return folder.path


def length(sample: Sample) -> Reward:
    return Reward(value=len(sample.completion.text) / 100)


def constant(sample: Sample) -> Reward:
    return Reward(value=1.0)


async def parts_of_a_right_answer(folder: Path) -> set[str]:
    """The parts of the recipe's reward; in so short a run no sample is right."""
    preference = pairs(1, seed=0)[0].preference()
    best = (preference.best or 0) + 1
    text = f"<think>Response {best} is better.</think><answer>{best}</answer>"
    sample = Sample(prompt=ask(preference), completion=Completion(text=text))
    outcome = await apply(r1_reward.reward(r1_reward.tiny(), folder), sample)
    assert isinstance(outcome, Reward) and outcome.value == 2.0
    return {f"reward/{part}" for part in outcome.parts}


def test_every_metric_of_a_run_is_on_the_page_and_no_other(
    run: Path, scalar: Path, stopped: Path, rolled_back: Path, not_finite: Path, tmp_path: Path
) -> None:
    folders = (run, scalar, not_finite, rolled_back, stopped)
    rows = [row for folder in folders for row in lines(folder / "metrics.jsonl")]
    assert rows[-1]["event"] == "stopped"
    happened = {row["event"] for row in rows if "event" in row}
    assert happened < set(re.findall(r"^\| \*(\w+)\* \|", PAGE, re.MULTILINE))
    written = general(name for row in rows for name in row)
    right = asyncio.run(parts_of_a_right_answer(tmp_path))
    assert documented("metrics.jsonl") - {"reward/PART"} == written | right


def test_every_distribution_is_on_the_page_and_no_other(run: Path, not_finite: Path) -> None:
    rows = [row for folder in (run, not_finite) for row in lines(folder / "distributions.jsonl")]
    quantities = {name: q for row in rows for name, q in row["quantities"].items()}
    fields = {name for row in rows for q in row["quantities"].values() for name in q}
    written = {name for row in rows for name in row} | fields
    written |= {re.sub("^reward/.*", "reward/PART", name) for name in quantities}
    assert documented("distributions.jsonl") == written


def test_every_timing_is_on_the_page_and_no_other(run: Path, tmp_path: Path) -> None:
    counted = RunFolder(tmp_path)
    counted.log("rl", 1, {}, seconds=0.5, tokens=100)
    rows = [*lines(run / "timings.jsonl"), *lines(tmp_path / "timings.jsonl")]
    assert documented("timings.jsonl") == {name for row in rows for name in row}


def test_every_figure_of_a_judge_is_on_the_page_and_no_other(run: Path) -> None:
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    assert documented("results.json") == {name for row in results for name in row}


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_every_metric_of_an_objective_is_on_the_page(make: Any) -> None:
    objective: Objective = make()
    mask_BT = torch.ones((4, 3), dtype=torch.bool)
    zeros_BT = torch.zeros((4, 3))
    rewards_B, groups_B = torch.tensor([1.0, 0.0, 2.0, 1.0]), torch.tensor([0, 0, 1, 1])
    signals = Signals(rewards_B, groups_B, mask_BT, zeros_BT, zeros_BT, torch.zeros(4))
    advantages = objective.advantage(signals)
    weights_BT = objective.reduction(mask_BT)
    loss = objective.loss(zeros_BT, zeros_BT, advantages.values_BT, weights_BT, mask_BT, zeros_BT)
    assert {*advantages.metrics, *loss.metrics} <= documented("metrics.jsonl")


@pytest.mark.parametrize("file", ["metrics.jsonl", "distributions.jsonl", "timings.jsonl", "results.json"])
def test_every_name_has_a_meaning(file: str) -> None:
    assert all(cells[1].strip() for cells in table(file))
