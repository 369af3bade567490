"""The whole recipe from a published file; what stops it is said in one line and a resume goes on."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stablereward.config import dump, resolve
from stablereward.data.preferences import read_preferences
from stablereward.data.prompts import r1_reward as prompt_of
from stablereward.errors import ConfigError, StorageError, TrainingError
from stablereward.objectives.named import rloo
from stablereward.policies.token import TokenPolicy
from stablereward.recipes.judges import r1_reward
from stablereward.recipes.judges.r1_reward import Config, Server, reward, run, tiny
from stablereward.rewards.reward import Sample, apply
from stablereward.training.checkpoint import find
from stablereward.types import Completion, Preference, Reward
from tests.loopback import closed_port_url, loopback, says
from tests.training.tmpfs import small_disk

SMALL = (
    "rl.num_updates=1",
    "rl.prompts_per_batch=2",
    "rl.num_generations=2",
    "rl.updates_per_batch=1",
    "rl.max_completion_length=16",
    "difficulty.num_tries=1",
    "difficulty.min_tries=1",
    "votes=[1]",
    "hardware.device=cpu",
)
SUBJECTS = ["start", "trained", "trained, images shuffled", "always first", "longer wins"]


def small(model: object, train: Path, output: Path, *more: str) -> Config:
    named = (f"model={model}", f"data.train={train}", f"output={output}")
    return resolve(Config, overrides=[*named, *SMALL, *more])


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_published_training_file_becomes_a_judge(published: Path, tmp_path: Path) -> None:
    config = small("toy-base", published, tmp_path / "run")
    folder = run(config)
    assert folder == tmp_path / "run"
    assert resolve(Config, folder / "config.yaml") == config
    [update, event] = metrics(folder)
    assert (event["event"], event["update"]) == ("no_signal", 1), "no verdict is right, nor can be"
    assert (update["stage"], update["update"], update["update/skipped"]) == ("rl", 1, 0.0)
    assert update["policy/engine_gap"] < 1e-4 and update["failures/count"] == 0
    # A fifth of twelve rows is held out, and each is judged in both orders.
    results = json.loads((folder / "results.json").read_text())
    assert [(row["judge"], row["n"], row["votes"]) for row in results] == [(name, 2, 1) for name in SUBJECTS]
    assert results[3]["accuracy"] == 1.0 and results[3]["accuracy_swapped"] == 0.0
    assert len(json.loads((folder / "difficulty.jsonl").read_text().splitlines()[0])) == 2
    [rollouts, _] = (folder / "rollouts" / "rl-000001.jsonl").read_text().splitlines()
    shown = json.loads(rollouts)
    known = {(p.question, p.responses) for p in read_preferences(published)}
    assert (shown["question"], tuple(shown["responses"])) in known
    assert shown["best"] == 0 and len(shown["images"]) == 1 and len(shown["completions"]) == 2
    assert TokenPolicy.load(folder / "judge", device="cpu").max_context == 2048
    assert (folder / "report.html").stat().st_size > 10_000


def test_each_judge_is_measured_under_its_own_name(parrot: Path, published: Path, tmp_path: Path) -> None:
    """The base model gives no verdict; what stands for the trained judge always says the first."""
    config = small("toy-base", published, tmp_path / "run", "rl.max_completion_length=24")
    shutil.copytree(parrot, config.output / "judge")
    results = {row["judge"]: row for row in json.loads((run(config) / "results.json").read_text())}
    assert results["start"]["parse_failures"] == 1.0
    for name in ("trained", "trained, images shuffled"):
        assert (results[name]["parse_failures"], results[name]["first_shown"]) == (0.0, 1.0)


def test_a_finished_run_is_not_done_again(
    published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = small("toy-base", published, tmp_path / "run")
    folder = run(config)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.suffix != ".html"}
    with pytest.raises(ConfigError, match="a run is already here; add --resume"):
        run(config)
    with pytest.raises(ConfigError, match="started with other settings"):
        run(replace(config, seed=1), resume=True)
    run(config, resume=True)
    timings = before.pop(folder / "timings.jsonl")
    assert (folder / "timings.jsonl").read_bytes().startswith(timings)
    assert all(path.read_bytes() == content for path, content in before.items())
    said = capsys.readouterr()
    assert said.out == "" and "10 preferences to train on, 2 held out" in said.err


def test_a_dead_referee_stops_the_run_and_a_resume_goes_on(
    parrot: Path,
    published: Path,
    tmp_path: Path,
    referee_at: Callable[[str], AbstractContextManager[None]],
) -> None:
    url = closed_port_url()
    more = (
        f"referee={{base_url: '{url}', model: referee}}",
        "rl.num_updates=3",
        "rl.prompts_per_batch=4",
        "rl.max_completion_length=24",
        "rl.optim.learning_rate=1e-4",
    )
    config = small(parrot, published, tmp_path / "broken", *more)
    with pytest.raises(
        TrainingError, match=r"[3-8] of 8 samples .* referee_failed: unreachable: "
    ) as stopped:
        run(config)
    assert "\n" not in str(stopped.value) and url.split("/")[2] in str(stopped.value)
    assert [found.update for found in find(config.output, "rl")] == [0]
    [event] = metrics(config.output)
    assert event == {"event": "stopped", "stage": "rl", "update": 1, "reason": str(stopped.value)}

    whole = replace(config, output=tmp_path / "whole")
    with referee_at(url):
        run(config, resume=True)
        run(whole)
    rows = metrics(config.output)
    assert [row["update"] for row in rows] == [1, 2, 3]
    assert all(row["reward/result"] > 0.5 and row["failures/count"] == 0 for row in rows)
    assert len({row["reward/consistency"] for row in rows}) > 1
    assert any(row["grad_norm"] > 0 for row in rows)
    for name in ("metrics.jsonl", "judge/model.safetensors", "results.json"):
        assert (config.output / name).read_bytes() == (whole.output / name).read_bytes(), name


@pytest.mark.parametrize(("models", "saved"), [(0.005, 0), (0.5, 0), (4.5, 1)])
def test_a_full_disk_is_one_clear_line_and_a_resume_goes_on(
    models: float, saved: int, parrot: Path, published: Path, tmp_path: Path
) -> None:
    """A checkpoint is as large as four models: the model, what is trained and two moments of it."""
    size = (parrot / "model.safetensors").stat().st_size
    with small_disk(tmp_path / "disk", int(models * size / 1024)) as disk:
        more = ("rl.num_updates=2", "hardware.save_every=1", "rl.max_completion_length=24")
        config = small(parrot, published, disk / "run", *more)
        with pytest.raises(
            StorageError, match=r"No space left on device.*free some space, then resume"
        ) as full:
            run(config)
        assert "\n" not in str(full.value)
        assert not (config.output / "judge").exists() and not (config.output / "results.json").exists()
        assert [found.update for found in find(config.output, "rl")] == [1] * saved
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        run(config, resume=True)
        assert [row["update"] for row in metrics(config.output) if "event" not in row] == [1, 2]
        assert not list(config.output.rglob(".partial-*"))
        TokenPolicy.load(config.output / "judge", device="cpu")


def sample(text: str) -> Sample:
    preference = Preference(question="How many?", responses=("I count 2.", "I count 3."), ranks=(0, 1))
    return Sample(prompt=prompt_of(preference), completion=Completion(text=text))


FOR_1 = "Response 1 says 2: right. Response 2 says 3: wrong."
FOR_2 = "Response 1 says 2: wrong. Response 2 says 3: right."


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"<think>{FOR_1}</think><answer>1</answer>", 2.0),
        (f"<think>{FOR_2}</think><answer>1</answer>", 1.5),
        ("<think></think><answer>1</answer>", 1.5),
        (f"<think>{FOR_1}</think> <answer>1</answer>", 1.5),
        (f"<think>{FOR_2}</think> <answer>1</answer>", 1.0),
        (f"<think>{FOR_2}</think><answer>2</answer>", 0.5),
        (f"<think>{FOR_1}</think><answer>2</answer>", 0.5),
        ("<think>…</think><answer>both</answer>", 0.5),
        (f"{FOR_2} <answer>2</answer>", 0.0),
        (f"<think>{FOR_1}</think><answer>1", 0.0),
        ("", 0.0),
    ],
)
def test_the_reward_of_the_paper(text: str, value: float, tmp_path: Path) -> None:
    earned = asyncio.run(apply(reward(Config(), tmp_path), sample(text)))
    assert isinstance(earned, Reward) and earned.value == value


def test_a_referee_by_http_is_asked_once_for_the_same_analysis(
    tmp_path: Path, referee_at: Callable[[str], AbstractContextManager[None]]
) -> None:
    url = closed_port_url()
    config = Config(referee=Server(base_url=url, model="referee"))
    right = sample(f"<think>{FOR_1}</think><answer>1</answer>")
    with referee_at(url):
        heard = asyncio.run(apply(reward(config, tmp_path), right))
    assert isinstance(heard, Reward) and heard.value in (1.5, 2.0)
    # The referee is gone, its answers are kept.
    assert asyncio.run(apply(reward(config, tmp_path), right)) == heard
    assert asyncio.run(apply(reward(config, tmp_path), sample(""))) == Reward(
        value=0.0, parts={"format": 0.0, "result": 0.0}
    )


def test_extra_fields_reach_the_referee_and_make_its_answers_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    right = sample(f"<think>{FOR_1}</think><answer>1</answer>")

    async def asked(*overrides: str) -> list[dict[str, Any]]:
        async with loopback(lambda _: says("1")) as server:
            url = f"referee.base_url={server.base_url}"
            config = resolve(Config, overrides=[url, "referee.model=m", *overrides])
            await apply(reward(config, tmp_path), right)
            return [request.body for request in server.requests]

    [plain] = asyncio.run(asked())
    assert asyncio.run(asked()) == []
    [named] = asyncio.run(asked('referee.extra=["top_k=20", "min_p=null"]'))
    assert (plain["top_k"], plain["min_p"], named["top_k"]) == (-1, 0.0, 20) and "min_p" not in named


def test_a_missing_key_is_said_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REFEREE_KEY", raising=False)
    config = Config(referee=Server(base_url="http://127.0.0.1:1/v1", model="m", api_key_env="REFEREE_KEY"))
    with pytest.raises(ConfigError, match="the environment variable REFEREE_KEY is not set"):
        reward(config, tmp_path)


SERVED = ("referee={base_url: 'http://127.0.0.1:1/v1', model: m}",)


@pytest.mark.parametrize(
    "mended",
    [
        "referee.base_url=http://127.0.0.1:2/v1",
        "referee.api_key_env=KEY",
        "referee.timeout=120",
        "referee.max_concurrency=1",
        "rl.max_concurrency=2",
        "hardware.device=cpu",
    ],
)
def test_a_setting_that_changes_no_result_is_mended_on_resume(
    mended: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stablereward.recipes.judges.r1_reward._stages", lambda config, folder: None)
    monkeypatch.setattr("stablereward.recipes.judges.r1_reward.write_report", lambda folder, tell: folder)

    def started(*overrides: str, resume: bool) -> Config:
        config = resolve(Config, None, [f"output={tmp_path}", *SERVED, *overrides])
        run(config, resume=resume)
        return config

    started(resume=False)
    config = started(mended, resume=True)
    assert resolve(Config, tmp_path / "config.yaml") == config
    with pytest.raises(ConfigError, match=r"other settings: referee\.model 'm' there, 'n' here"):
        started(mended, "referee.model=n", resume=True)
    with pytest.raises(ConfigError, match="other settings: referee"):
        started("referee=null", resume=True)


def test_the_defaults_are_the_papers() -> None:
    config = Config()
    assert config.model == "Qwen/Qwen2.5-VL-7B-Instruct"
    samples = config.rl.prompts_per_batch * config.rl.num_generations
    assert (samples, samples // config.rl.updates_per_batch, config.rl.max_completion_length) == (
        256,
        128,
        1024,
    )
    assert (config.rl.optim.learning_rate, config.cold_start.optim.learning_rate) == (1e-6, 1e-5)
    assert (config.cold_start.epochs, config.cold_start.batch_size) == (1.0, 256)
    assert (config.stable.delta_min, config.stable.delta_max, config.stable.sigmas) == (1e-3, 1e3, 3.0)
    assert (config.difficulty.min_tries, config.difficulty.easy_share, config.votes) == (2, 0.0, (1, 5, 15))


@pytest.mark.parametrize("config", [Config(), tiny()])
def test_the_settings_in_the_run_folder_reproduce_it(config: Config, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(dump(config), encoding="utf-8")
    assert resolve(Config, tmp_path / "config.yaml") == config


def test_a_nucleus_is_refused_where_settings_are_read() -> None:
    with pytest.raises(ConfigError, match=r"top_p is 0\.9; in training it must be 1"):
        resolve(Config, None, ["rl.top_p=0.9"], base=tiny())


def test_an_objective_without_a_ratio_is_refused_where_settings_are_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """For a recipe made from this one with another objective."""
    monkeypatch.setattr(r1_reward, "objective", lambda stable: rloo())
    settings = ["rl.updates_per_batch=2", f"output={tmp_path / 'run'}"]
    with pytest.raises(ConfigError, match=r"rloo does not correct .* must be 1, not 2"):
        resolve(Config, None, settings, base=tiny())
    assert not (tmp_path / "run").exists()
