"""AlignProp: its windows, its tiny run, an exact resume, the full scale's settings on real classes."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stablereward.recipes.diffusion import alignprop, pictures
from stablereward.recipes.diffusion.alignprop import Config, grad_steps, run, tiny
from stablereward.recipes.diffusion.ddpo import Ddpo
from stablereward.recipes.diffusion.pictures import Drawing
from stablereward.recipes.stages import Hardware
from stablereward.training.policy_gradient import RLConfig
from stablereward.types import Prompt


def windows(num_steps: int = 50, num: int = 2000, **settings: Any) -> list[set[int]]:
    config = Config(**settings)
    return [grad_steps(config, num_steps, update) for update in range(num)]


def test_a_uniform_window_is_any_last_part_but_none() -> None:
    firsts = Counter(min(window) for window in windows(10))
    assert sorted(firsts) == list(range(10)) and min(firsts.values()) > 120
    assert all(window == set(range(min(window), 10)) for window in windows(10))


def test_the_released_window_is_near_the_end() -> None:
    """Normal(42, 5) of 50 steps, from 1 to 49; with 10 steps at the same places."""
    firsts = [min(window) for window in windows(window="gaussian")]
    assert sum(firsts) / len(firsts) == pytest.approx(41.5, abs=0.4)
    assert min(firsts) > 20 and max(firsts) == 49
    assert {min(window) for window in windows(10, window="gaussian")} >= {7, 8, 9}


def test_the_other_windows() -> None:
    assert windows(window="full", num=3) == [set(range(50))] * 3
    assert windows(window="last", num=3) == [{49}] * 3
    assert windows(window="last", last=10, num=1) == [set(range(40, 50))]
    per_step = windows(window="per_step")
    assert sum(len(window) for window in per_step) / len(per_step) == pytest.approx(25.5, abs=0.5)
    assert any(max(window) - min(window) + 1 > len(window) for window in per_step)


def test_a_window_is_a_function_of_seed_and_update() -> None:
    assert windows(num=20) == windows(num=20) != windows(num=20, seed=1)


def small(output: Path, **settings: Any) -> Config:
    config = tiny()
    task = replace(
        config.task, drawing=Drawing(num_steps=3, guidance=2.0, at_once=16), measured=2, measure_every=2
    )
    training = replace(config.training, num_updates=4, prompts_per_batch=2, num_generations=2)
    found = replace(
        config, task=task, training=training, output=output, hardware=Hardware(device="cpu", save_every=2)
    )
    return replace(found, **settings)


@pytest.fixture(autouse=True)
def few_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The world is smaller here."""
    everything = pictures.prompts_of
    monkeypatch.setattr(pictures, "prompts_of", lambda name: everything(name)[::12])


def files(folder: Path) -> dict[str, bytes]:
    """All but clocks and the page that shows them."""
    clocks = {"timings.jsonl", "report.html", "config.yaml", "machine.json"}
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name not in clocks]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


class Killed(Exception):
    """The process is gone."""


@pytest.mark.parametrize("baseline", [False, True])
def test_killed_and_resumed_it_ends_with_the_same_bytes(
    baseline: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rl = RLConfig(num_updates=4, prompts_per_batch=2, num_generations=2, updates_per_batch=1, token_budget=12)
    settings = {"ddpo": Ddpo(rl=rl)} if baseline else {}
    run(small(tmp_path / "whole", **settings))
    measured = pictures.measure

    def killed(*arguments: Any) -> Any:
        if (tmp_path / "cut" / "checkpoints" / "rl-000002").exists():
            raise Killed
        return measured(*arguments)

    monkeypatch.setattr(pictures, "measure", killed)
    with pytest.raises(Killed):
        run(small(tmp_path / "cut", **settings))
    monkeypatch.setattr(pictures, "measure", measured)
    run(small(tmp_path / "cut", **settings), resume=True)
    assert files(tmp_path / "whole") == files(tmp_path / "cut")
    figures = json.loads((tmp_path / "cut" / "figures.json").read_text())
    assert {"gain", "reward", "reward_start", "rule", "diversity"} <= figures.keys()
    assert figures["engine_gap"]["value"] == 0
    assert "data:image/png" in (tmp_path / "cut" / "report.html").read_text()
    assert "evaluation/rule" in (tmp_path / "cut" / "metrics.jsonl").read_text()


@pytest.mark.slow
def test_the_full_scale_settings_train_real_classes(
    tmp_path: Path, generator: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All settings are the paper's, 50 steps and checkpointing among them; batch and classes are small."""
    config = Config(output=tmp_path)
    monkeypatch.setattr(
        pictures, "prompts_of", lambda name: [Prompt.user(text=t) for t in ("cat", "dog", "bee")]
    )
    task = replace(config.task, model=str(generator), reward=str(clip), measured=2)
    training = replace(config.training, num_updates=2, prompts_per_batch=4, at_once=2)
    cpu = replace(config.hardware, device="cpu")
    folder = run(replace(config, task=task, training=training, hardware=cpu))
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["update"] for row in rows] == [1, 2] and all(row["grad_norm"] > 0 for row in rows)
    figures = json.loads((folder / "figures.json").read_text())
    assert figures["reward"]["value"] != figures["reward_start"]["value"] and "rule" not in figures


def test_the_experiment_names_its_claims_and_arms() -> None:
    experiment = alignprop.EXPERIMENT
    assert next(iter(experiment.arms)) == "alignprop" and any(claim.positive for claim in experiment.claims)
