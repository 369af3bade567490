"""A stage of training: whatever stops it, what it does after a resume is what it would have done."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from stablereward.errors import TrainingError
from stablereward.objectives.objective import Loss
from stablereward.policies.completions import Demonstrations, completions
from stablereward.policies.parts import part_of
from stablereward.policies.token import TokenPolicy
from stablereward.runs.folder import RunFolder
from stablereward.training import checkpoint
from stablereward.training.fit import Update
from stablereward.training.imitation import SFTConfig, Share, imitation_batches, imitation_loss
from stablereward.training.learner import Learner, in_turns, train
from stablereward.training.optim import OptimConfig
from stablereward.types import Prompt
from tests.policies.families import make

NUM_UPDATES = 6
SHOWN = [(Prompt.user(text=f"What is {n}?"), f"It is {n + 1}.") for n in range(4)]
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
    config, family = SFTConfig(epochs=epochs, batch_size=2), completions(policy)

    def batches(start: int) -> Iterator[list[Share]]:
        made = imitation_batches(Demonstrations(policy, SHOWN), family.costs, config, 7, start)
        for number, batch in enumerate(made, start + 1):
            plan.meet("batches", number)
            yield batch

    learner = Learner(
        name="policy",
        module=policy,
        batches=batches,
        loss=lambda share: imitation_loss(family.score, share),
        num_updates=NUM_UPDATES,
        optim=OPTIM,
        part_of=part_of,
        cost=lambda share: share.cost,
        figures=plan.figures,
    )
    train(RunFolder(folder), "rl", learner, save_every=save_every, progress=plan.progress)
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
        assert row == {"stage": "rl", "update": update.number, **update.metrics}
        assert update.metrics["reward/mean"] == update.number / 4
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


class Point(nn.Module):
    """A policy of one number, which is enough to be trained, saved and put back."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(1))

    def save(self, folder: Path) -> None:
        (folder / "point.json").write_text(json.dumps(self.value.tolist()), encoding="utf-8")


class Seen:
    """A memory that batches depend on: the sum of what the other learner has been."""

    def __init__(self) -> None:
        self.total = torch.zeros(1)

    def state_dict(self) -> Mapping[str, torch.Tensor]:
        return {"total": self.total}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        self.total = state["total"].clone()


def chase(folder: Path, stop_after: int | None = None) -> tuple[Point, Point]:
    """A critic that runs after the mean of where an actor has been, and an actor that runs from it."""
    critic, actor, seen = Point(), Point(), Seen()

    def critics(start: int) -> Iterator[list[torch.Tensor]]:
        for number in range(start, 8):
            seen.total = seen.total + actor.value.detach()
            yield [seen.total / (number + 1)]

    def actors(start: int) -> Iterator[list[torch.Tensor]]:
        for _ in range(start, 4):
            yield [critic.value.detach()]

    def progress(update: Update) -> None:
        rows = lines(folder)
        if stop_after is not None and len(rows) == stop_after:
            raise Stop

    optim = OptimConfig(learning_rate=0.1, warmup=0.0, schedule="constant")
    learners = (
        Learner(
            name="critic",
            module=critic,
            batches=critics,
            loss=lambda wanted: Loss(((critic.value - wanted) ** 2).sum(), {}),
            num_updates=8,
            optim=optim,
            memory=seen,
        ),
        Learner(
            name="actor",
            module=actor,
            batches=actors,
            loss=lambda at: Loss(-((actor.value - at - 1) ** 2).sum(), {}),
            num_updates=4,
            optim=optim,
        ),
    )
    train(RunFolder(folder), "play", *learners, save_every=2, turns=(2, 1), progress=progress)
    return critic, actor


def test_turns() -> None:
    assert list(in_turns([8, 4], (2, 1))) == [0, 0, 1] * 4
    assert list(in_turns([2, 5])) == [0, 1, 0, 1]
    assert list(in_turns([3])) == [0, 0, 0]
    assert list(in_turns([7, 2], (2, 1), (3, 0))) == [0, 0, 0, 0, 0, 1, 0, 0, 1]
    assert list(in_turns([2, 5], (1, 1), (3, 0))) == [0, 0]
    for turns in ((1,), (0, 1)):
        with pytest.raises(ValueError, match="give each at least 1"):
            list(in_turns([1, 1], turns))


@pytest.mark.parametrize("stop_after", range(1, 12))
def test_two_learners_and_a_memory_go_on_where_they_were_stopped(stop_after: int, tmp_path: Path) -> None:
    whole = chase(tmp_path / "whole")
    rows = lines(tmp_path / "whole")
    assert [row["learner"] for row in rows] == ["critic", "critic", "actor"] * 4
    assert [row["update"] for row in rows] == list(range(1, 13))
    assert whole[0].value.item() != 0 != whole[1].value.item()
    with pytest.raises(Stop):
        chase(tmp_path / "broken", stop_after)
    resumed = chase(tmp_path / "broken")
    whole_log, broken_log = (tmp_path / name / "metrics.jsonl" for name in ("whole", "broken"))
    assert broken_log.read_bytes() == whole_log.read_bytes()
    assert [point.value.item() for point in resumed] == [point.value.item() for point in whole]
    newest = checkpoint.find(tmp_path / "whole", "play")[-1].path
    assert sorted(path.name for path in newest.iterdir()) == ["actor", "critic", "trainer"]


def test_a_learner_whose_batches_end_early_is_an_error(tmp_path: Path) -> None:
    point = Point()
    learner = Learner(
        name="point",
        module=point,
        batches=lambda start: iter([[1.0]]),
        loss=lambda wanted: Loss(((point.value - wanted) ** 2).sum(), {}),
        num_updates=2,
        optim=OptimConfig(learning_rate=0.1),
    )
    with pytest.raises(TrainingError, match="point has no batch for update 2; its batches must last for 2"):
        train(RunFolder(tmp_path), "play", learner, save_every=10)
