"""A stage of training: whatever stops it, what it does after a resume is what it would have done."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from stablereward.errors import TrainingError
from stablereward.policies.token import TokenPolicy
from stablereward.training import checkpoint
from stablereward.training.fit import Update
from stablereward.training.optim import OptimConfig
from stablereward.training.run_folder import RunFolder
from stablereward.training.sft import Demonstration, SFTConfig, Share, sft_batches, sft_loss
from stablereward.training.stage import train
from stablereward.types import Prompt
from tests.policies.families import make

NUM_UPDATES = 6
SHOWN = [Demonstration(prompt=Prompt(text=f"What is {n}?"), text=f"It is {n + 1}.") for n in range(4)]
CONFIG = SFTConfig(epochs=3, batch_size=2)
OPTIM = OptimConfig(learning_rate=1e-2, warmup=0.4)


class Stop(Exception):
    """Stands for whatever ends a process."""


class Plan:
    """Stops a stage once, at one moment of one update."""

    def __init__(self, moment: str = "", update: int = 0, error: type[Exception] = Stop) -> None:
        self.moment, self.update, self.error = moment, update, error
        self.seen: list[Update] = []

    def meet(self, moment: str, update: int) -> None:
        if (self.moment, self.update) == (moment, update):
            self.moment = ""
            raise self.error(f"update {update}: the referee is gone")

    def figures(self, update: Update) -> Mapping[str, float]:
        self.meet("figures", update.number)
        return {"reward/mean": update.number / 4}

    def progress(self, update: Update) -> None:
        self.seen.append(update)
        self.meet("progress", update.number)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("stage")
    make("llama", folder)
    return folder


def run(model: Path, folder: Path, plan: Plan, *, epochs: float = 3, save_every: int = 2) -> TokenPolicy:
    """The stage as a process would run it: everything is loaded anew."""
    policy = TokenPolicy.load(model, device="cpu")
    config = SFTConfig(epochs=epochs, batch_size=2)

    def batches(start: int) -> Iterator[list[Share]]:
        for number, batch in enumerate(sft_batches(policy, SHOWN, config, 7, start), start + 1):
            plan.meet("batches", number)
            yield batch

    train(
        RunFolder(folder),
        "rl",
        policy,
        batches,
        lambda share: sft_loss(policy, share),
        num_updates=NUM_UPDATES,
        optim=OPTIM,
        save_every=save_every,
        figures=plan.figures,
        progress=plan.progress,
    )
    return policy


def lines(folder: Path, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


def saved(folder: Path) -> list[int]:
    return [found.update for found in checkpoint.find(folder, "rl")]


@pytest.fixture(scope="module")
def whole(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TokenPolicy]:
    folder: Path = tmp_path_factory.mktemp("whole")
    return folder, run(model, folder, Plan())


def assert_same(folder: Path, policy: TokenPolicy, whole: tuple[Path, TokenPolicy]) -> None:
    assert (folder / "metrics.jsonl").read_bytes() == (whole[0] / "metrics.jsonl").read_bytes()
    pairs = zip(policy.parameters(), whole[1].parameters(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_lines_that_are_missing_are_told(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Stop):
        run(model, tmp_path, Plan("progress", 5))
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    run(model, tmp_path, Plan())
    reason = "updates 2 to 4 of rl have no line in metrics.jsonl"
    event = {"event": "metrics_missing", "stage": "rl", "update": 4, "reason": reason}
    assert [row["update"] for row in lines(tmp_path)] == [1, 4, *range(5, NUM_UPDATES + 1)]
    assert lines(tmp_path)[1] == event and reason in capsys.readouterr().err


@pytest.mark.parametrize("update", range(1, NUM_UPDATES + 1))
@pytest.mark.parametrize("moment", ["batches", "figures", "progress"])
def test_a_resumed_stage_ends_like_one_that_was_not_stopped(
    moment: str, update: int, model: Path, whole: tuple[Path, TokenPolicy], tmp_path: Path
) -> None:
    plan = Plan(moment, update)
    with pytest.raises(Stop):
        run(model, tmp_path, plan)
    # Saved after updates 2 and 4; the checkpoint comes after the progress is shown.
    assert saved(tmp_path) == [n for n in (2, 4) if n < update]
    resumed = run(model, tmp_path, plan)
    assert_same(tmp_path, resumed, whole)


@pytest.mark.parametrize("update", [1, 2, 4, 6])
def test_a_training_error_keeps_the_last_whole_update(
    update: int, model: Path, whole: tuple[Path, TokenPolicy], tmp_path: Path
) -> None:
    plan = Plan("batches", update, TrainingError)
    with pytest.raises(TrainingError, match="the referee is gone"):
        run(model, tmp_path, plan, save_every=100)
    assert saved(tmp_path) == [update - 1]
    *done, event = lines(tmp_path)
    assert done == lines(whole[0])[: update - 1]
    reason = f"update {update}: the referee is gone"
    assert event == {"event": "stopped", "stage": "rl", "update": update, "reason": reason}
    resumed = run(model, tmp_path, plan, save_every=100)
    assert [u.number for u in plan.seen] == list(range(1, NUM_UPDATES + 1))
    assert_same(tmp_path, resumed, whole)


def test_every_update_is_logged_with_its_figures_and_shown(model: Path, tmp_path: Path) -> None:
    plan = Plan()
    policy = run(model, tmp_path, plan)
    rows = lines(tmp_path)
    assert [(row["stage"], row["update"]) for row in rows] == [("rl", n) for n in range(1, NUM_UPDATES + 1)]
    assert [row["reward/mean"] for row in rows] == [n / 4 for n in range(1, NUM_UPDATES + 1)]
    for row, update in zip(rows, plan.seen, strict=True):
        assert row == {
            "stage": "rl",
            "update": update.number,
            **update.metrics,
            "reward/mean": update.number / 4,
        }
    # Warm-up over 0.4 · 6, rounded up to 3 updates.
    assert [row["learning_rate"] for row in rows[:3]] == pytest.approx([1e-2 / 3, 2e-2 / 3, 1e-2])
    assert rows[-1]["loss"] < rows[0]["loss"] / 2
    timings = lines(tmp_path, "timings.jsonl")
    assert [row["update"] for row in timings] == list(range(1, NUM_UPDATES + 1))
    assert all(row["seconds"] >= 0 for row in timings)
    assert policy.training


@pytest.mark.parametrize(("save_every", "expected"), [(1, [4, 5]), (2, [2, 4]), (3, [3]), (6, []), (7, [])])
def test_checkpoints_come_between_updates_and_two_are_kept(
    save_every: int, expected: list[int], model: Path, tmp_path: Path
) -> None:
    run(model, tmp_path, Plan(), save_every=save_every)
    assert saved(tmp_path) == expected


@pytest.mark.parametrize("epochs", [4, 9])
def test_batches_beyond_the_last_update_are_not_used(
    epochs: float, model: Path, whole: tuple[Path, TokenPolicy], tmp_path: Path
) -> None:
    assert_same(tmp_path, run(model, tmp_path, Plan(), epochs=epochs), whole)


def test_another_error_writes_no_event_and_no_checkpoint(model: Path, tmp_path: Path) -> None:
    with pytest.raises(Stop):
        run(model, tmp_path, Plan("batches", 2), save_every=100)
    assert [row["update"] for row in lines(tmp_path)] == [1]
    assert not (tmp_path / "checkpoints").exists()
