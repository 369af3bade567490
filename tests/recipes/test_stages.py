"""Each stage is kept in the run folder, done once, and refuses what would waste the rest."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from stablereward.data.toy.pairs import pairs
from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.engines.scripted import Scripted
from stablereward.errors import ConfigError, DataError, EngineError
from stablereward.objectives.named import rloo, stable_reinforce
from stablereward.policies.token import TokenPolicy
from stablereward.recipes.stages import (
    Difficulty,
    Hardware,
    Lora,
    arranged_by_difficulty,
    cold_start,
    demonstrations,
    load_policy,
    reinforce,
    require_whole_batches,
    stage,
)
from stablereward.rewards.reward import Sample
from stablereward.runs.folder import RunFolder
from stablereward.training.imitation import SFTConfig
from stablereward.training.optim import OptimConfig
from stablereward.training.policy_gradient import RLConfig
from stablereward.types import Completion, Failure, Preference, Prompt, Reward

CPU = Hardware(device="cpu", save_every=100)
TOY = [pair.preference() for pair in pairs(6, seed=11)]
RIGHT = [replace(p, id=str(n)) if p.best == 0 else replace(p.swapped(), id=str(n)) for n, p in enumerate(TOY)]
"""The first response is the better one."""
RL = RLConfig(
    num_updates=2,
    prompts_per_batch=3,
    num_generations=2,
    updates_per_batch=1,
    max_completion_length=16,
    optim=OptimConfig(learning_rate=1e-3),
)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.open("", resume=False)
    return folder


class Silent:
    """An engine that must not be asked."""

    async def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> list[tuple[Completion, ...] | Failure]:
        raise AssertionError("it was asked again")


def says(choice: int) -> str:
    return f"<think>Response {choice} is better.</think><answer>{choice}</answer>"


def mixed_annotator() -> Scripted:
    """Right about 0, 1 and 2, wrong about 3 and 4, and unreachable about 5."""

    def reply(prompt: Prompt, _: int) -> str | Failure:
        number = int(prompt.preference.id if prompt.preference else -1)
        return Failure(reason="timeout") if number == 5 else says(1 if number < 3 else 2)

    return Scripted(reply)


def test_demonstrations_are_asked_once_and_kept_with_the_failures(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = demonstrations(run, RIGHT, mixed_annotator())
    assert [text for _, text in shown] == [says(1)] * 3
    assert [prompt.preference for prompt, _ in shown] == RIGHT[:3]
    assert "3 of 6 analyses are right and kept" in capsys.readouterr().err
    rows = [json.loads(line) for line in (run.path / "demonstrations.jsonl").read_text().splitlines()]
    assert rows[0] == {"number": 0, "tries": 1, "text": says(1)}
    assert rows[3:] == [
        {"number": 3, "failure": "never_right"},
        {"number": 4, "failure": "never_right"},
        {"number": 5, "failure": "timeout"},
    ]
    assert demonstrations(run, RIGHT, Silent()) == shown


def test_a_dead_annotator_is_an_error_and_keeps_nothing(run: RunFolder) -> None:
    dead = Scripted(lambda prompt, _: Failure(reason="unreachable", detail="no route"))
    with pytest.raises(EngineError, match=r"failed for 6 of 6 preferences \(unreachable: no route\)") as said:
        demonstrations(run, RIGHT, dead)
    assert "\n" not in str(said.value)
    assert len(demonstrations(run, RIGHT, mixed_annotator())) == 3


def test_an_annotator_that_is_never_right_is_an_error(run: RunFolder) -> None:
    with pytest.raises(DataError, match=r"demonstrations\.jsonl: the annotator gave no right analysis"):
        demonstrations(run, RIGHT, Scripted(lambda prompt, _: says(2)))


def test_annotation_works_where_an_event_loop_runs(run: RunFolder) -> None:
    async def notebook() -> int:
        return len(demonstrations(run, RIGHT, mixed_annotator()))

    assert asyncio.run(notebook()) == 3


def test_a_cold_start_is_done_once_and_is_a_model(run: RunFolder) -> None:
    shown = [(p, says(1)) for p in prompts(4)]
    config = SFTConfig(epochs=2, batch_size=2, optim=OptimConfig(learning_rate=1e-3))
    folder = cold_start(run, "toy-base", shown, config, CPU, None, 0)
    before = (folder / "model.safetensors").read_bytes()
    assert folder == run.path / "cold_start"
    assert before != (TokenPolicy.load("toy-base").source / "model.safetensors").read_bytes()
    rows = (run.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["update"] for row in rows] == [1, 2, 3, 4]
    assert json.loads(rows[-1])["loss"] < json.loads(rows[0])["loss"]
    assert cold_start(run, "gone", shown, config, CPU, None, 0) == folder
    assert (folder / "model.safetensors").read_bytes() == before
    TokenPolicy.load(folder)


def prompts(num: int) -> list[Prompt]:
    return [Prompt.user(text=p.question, images=p.images, preference=p) for p in RIGHT[:num]]


def arranged(
    run: RunFolder, model: str | Path, config: Difficulty, train_on: Sequence[Preference] = RIGHT
) -> list[Preference]:
    rl = replace(RL, max_completion_length=24)
    return arranged_by_difficulty(run, model, train_on, config, rl, CPU, 0)


def test_difficulty_is_measured_once_and_kept(parrot: Path, run: RunFolder) -> None:
    """The parrot says that the first response is better: three of these are easy, three never right."""
    wrong = [replace(p.swapped(), id=p.id) for p in RIGHT[3:]]
    halves = [*wrong, *RIGHT[:3]]
    first = arranged(run, parrot, Difficulty(num_tries=2, min_tries=1), halves)
    rows = [json.loads(line) for line in (run.path / "difficulty.jsonl").read_text().splitlines()]
    assert [row["tries"] for row in rows[:3]] == [3, 3, 3]
    assert all(row["tries"] < 3 for row in rows[3:])
    assert {p.id for p in first[:3]} == {"0", "1", "2"} and {p.id for p in first[3:]} == {"3", "4", "5"}
    # From the file now: the model is not there.
    assert arranged(run, "gone", Difficulty(num_tries=2, min_tries=1), halves) == first
    hard = arranged(run, "gone", Difficulty(min_tries=3), halves)
    assert {p.id for p in hard} == {"3", "4", "5"}
    with pytest.raises(DataError, match=r"hard enough to train on; lower difficulty\.min_tries"):
        arranged(run, "gone", Difficulty(min_tries=4), halves)
    shuffled = arranged(run, "gone", Difficulty(min_tries=1, mixed=True), halves)
    assert {p.id for p in shuffled} == {p.id for p in first} and shuffled != first


def test_a_preference_that_cannot_be_shown_is_named(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    broken = replace(RIGHT[0], id="row 7", images=(tmp_path / "broken.png",))
    with pytest.raises(DataError, match=r"preference 'row 7' cannot be shown to the model: .*broken\.png"):
        arranged(run, "toy-base", Difficulty(num_tries=1), [*RIGHT[1:], broken])
    assert not (run.path / "difficulty.jsonl").exists()


def length(sample: Sample) -> Reward:
    return Reward(value=len(sample.completion.text) / 100, parts={"length": len(sample.completion.text)})


def test_reinforcement_is_logged_kept_and_done_once(run: RunFolder) -> None:
    config = replace(RL, num_updates=5)
    monitors = {"toy/looks": lambda sample: float("Look" in sample.completion.text)}
    folder = reinforce(
        run, "toy-base", RIGHT, length, stable_reinforce(), config, CPU, keep_every=2, monitors=monitors
    )
    rows = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert [row["update"] for row in rows] == [1, 2, 3, 4, 5]
    assert all({"reward/mean", "reward/length", "policy/entropy", "toy/looks"} <= row.keys() for row in rows)
    kept = sorted(path.name for path in (run.path / "rollouts").iterdir())
    assert kept == ["rl-000001.jsonl", "rl-000002.jsonl", "rl-000004.jsonl"]
    before = (folder / "model.safetensors").read_bytes()
    assert before != (TokenPolicy.load("toy-base").source / "model.safetensors").read_bytes()
    assert reinforce(run, "gone", RIGHT, length, stable_reinforce(), config, CPU) == folder
    assert (folder / "model.safetensors").read_bytes() == before


def test_what_cannot_be_trained_is_refused_before_the_model_is_loaded(run: RunFolder) -> None:
    config = replace(RL, updates_per_batch=2)
    with pytest.raises(ConfigError, match="rloo does not correct"):
        reinforce(run, "gone", RIGHT, length, rloo(), config, CPU)


def test_samples_are_scored_at_the_temperature_they_are_drawn_at(run: RunFolder) -> None:
    reinforce(run, "toy-base", RIGHT, length, stable_reinforce(), replace(RL, temperature=0.5), CPU)
    rows = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert max(row["policy/engine_gap"] for row in rows) < 1e-4


def test_a_run_whose_rewards_never_vary_says_so(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    reinforce(run, "toy-base", RIGHT, lambda sample: Reward(value=0.1), stable_reinforce(), RL, CPU)
    rows = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert [row["advantages/flat"] for row in rows[:-1]] == [1.0, 1.0]
    assert rows[-1] == {"event": "no_signal", "stage": "rl", "update": 2, "collections": 2}
    assert "in the last 2 collections no reward differed" in capsys.readouterr().err


def test_adapters_are_trained_and_written_merged(run: RunFolder) -> None:
    lora = Lora(rank=2, alpha=4)
    policy = load_policy("toy-base", CPU, lora)
    trained = sum(p.numel() for p in policy.parameters() if p.requires_grad)
    assert 0 < trained < sum(p.numel() for p in policy.parameters()) / 4
    rl = replace(RL, optim=OptimConfig(learning_rate=3e-2))
    folder = reinforce(run, "toy-base", RIGHT, length, stable_reinforce(beta=0.1), rl, CPU, lora=lora)
    rows = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert [row["policy/kl_reference"] > 1e-6 for row in rows] == [False, True]
    plain, judge = TokenPolicy.load("toy-base"), TokenPolicy.load(folder)
    names = [name for name, _ in plain.named_parameters()]
    assert names == [name for name, _ in judge.named_parameters()]
    sampling = Sampling(temperature=0.0, max_completion_length=8)
    [answer] = HFEngine(judge).sample(prompts(1), sampling)
    assert not isinstance(answer, Failure)


@pytest.mark.parametrize(
    ("save_every", "updates_per_batch", "whole"), [(20, 2, True), (3, 2, False), (4, 4, True)]
)
def test_checkpoints_fall_between_batches(save_every: int, updates_per_batch: int, whole: bool) -> None:
    hardware, rl = Hardware(save_every=save_every), RLConfig(updates_per_batch=updates_per_batch)
    if whole:
        require_whole_batches(hardware, rl)
        return
    with pytest.raises(ConfigError, match=r"hardware\.save_every is 3; it must be a multiple .* = 2"):
        require_whole_batches(hardware, rl)


def test_a_stage_says_when_it_begins_and_how_long_it_took(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    with stage(run, "annotation"):
        assert capsys.readouterr().err == "annotation …\n"
    assert capsys.readouterr().err == "annotation: 0 s\n"
    [row] = (run.path / "timings.jsonl").read_text().splitlines()
    assert json.loads(row)["stage"] == "annotation"
    with pytest.raises(KeyError), stage(run, "broken"):
        raise KeyError
    assert len((run.path / "timings.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", r"difficulty\.jsonl:2: not JSON"),
        ('{"number": 1}', r"difficulty\.jsonl:2: not the row of preference 1 with 'tries'"),
        ('{"number": 1, "tries": "2"}', r"difficulty\.jsonl:2: not the row of preference 1"),
        ('{"number": 0, "tries": 2}', r"difficulty\.jsonl:2: not the row of preference 1"),
        ("", r"difficulty\.jsonl:2: not JSON"),
        (None, r"difficulty\.jsonl: 1 rows for 2 preferences"),
    ],
)
def test_a_damaged_difficulty_is_made_again_by_hand(row: str | None, message: str, run: RunFolder) -> None:
    rows = ['{"number": 0, "tries": 1}', *([] if row is None else [row])]
    (run.path / "difficulty.jsonl").write_text("".join(f"{line}\n" for line in rows))
    with pytest.raises(DataError, match=f"{message}.*; remove difficulty.jsonl and resume: it is made again"):
        arranged(run, "gone", Difficulty(), RIGHT[:2])


def test_a_damaged_demonstration_is_named(run: RunFolder) -> None:
    demonstrations(run, RIGHT, mixed_annotator())
    path = run.path / "demonstrations.jsonl"
    others = path.read_text().splitlines(keepends=True)[1:]
    path.write_text("".join(['{"number": 0, "tries": 1, "text": [1]}\n', *others]))
    with pytest.raises(DataError, match=r"demonstrations\.jsonl:1: not the row of preference 0 with 'text'"):
        demonstrations(run, RIGHT, Silent())
