"""BaseReward: its regularisers by hand, the worlds it is tried on, and the whole run small."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stablereward.config import dump, resolve
from stablereward.data.preferences import write_preferences
from stablereward.data.toy.pairs import pairs
from stablereward.errors import StableRewardError
from stablereward.judges.judge import Judge
from stablereward.policies.scalar import ScalarModel
from stablereward.policies.scalar_head import HeadConfig
from stablereward.recipes import scalar
from stablereward.recipes.judges.base_reward import (
    EXPERIMENT,
    Config,
    asked,
    per_length,
    run,
    tiny,
    works,
)
from stablereward.recipes.sources import Data, Toy
from stablereward.recipes.stages import Hardware, Lora
from stablereward.runs.figures import read
from stablereward.training.learner import train
from stablereward.training.pairwise import AnyGroup, Compared, RewardConfig, centred
from stablereward.types import Completion, Group, Preference
from stablereward.worlds.utility import Utility
from tests.policies.families import make

SMALL = replace(
    tiny(),
    data=Data(toy=Toy(num_train=8, num_held_out=6)),
    reward=replace(tiny().reward, epochs=1.5, batch_size=4),
    hardware=replace(tiny().hardware, device="cpu", save_every=1),
)
KEPT = (
    "metrics.jsonl",
    "results.json",
    "figures.json",
    "judge/model.safetensors",
    "rollouts/reward-000000.jsonl",
)


def test_the_full_scale_is_the_papers() -> None:
    config = Config()
    assert (config.reward.optim.learning_rate, config.reward.batch_size) == (3e-6, 128)
    assert (config.head.layers, config.head.activation, config.head.pooling) == (2, "silu", "last")
    assert config.center_rewards_coefficient == 0.0 and not config.per_length
    assert resolve(Config, None, ("utility.kind=linear",)).utility == Utility(kind="linear")


def test_centring_takes_the_freedom_of_a_constant() -> None:
    """Bradley-Terry does not change by r + c, the centring term does: notes, section 20."""
    chosen_C, rejected_C, lead_C = torch.tensor([2.0]), torch.tensor([1.0]), torch.ones(1)
    here, there = Compared(chosen_C, rejected_C, lead_C), Compared(chosen_C + 3, rejected_C + 3, lead_C)
    assert centred(0.0, here).item() == centred(0.0, there).item() == pytest.approx(math.log1p(math.exp(-1)))
    assert centred(0.1, here).item() == pytest.approx(math.log1p(math.exp(-1)) + 0.1 * 9)
    assert centred(0.1, there).item() == pytest.approx(math.log1p(math.exp(-1)) + 0.1 * 81)


def test_per_length_divides_by_the_logarithm() -> None:
    def measure(groups: Sequence[AnyGroup]) -> Tensor:
        return torch.tensor([2.0, 3.0])

    written = tuple(Completion(text="", token_ids=(0,) * length) for length in (1, 9))
    divided_B = per_length(measure)([Group(prompt=None, trajectories=written)])
    assert divided_B.tolist() == pytest.approx([2 / math.log(2), 3 / math.log(10)])


def test_the_tiny_run_ends_with_a_judge(tmp_path: Path) -> None:
    folder = run(replace(SMALL, output=tmp_path / "run"))
    assert {figure.name for figure in read(folder)} == {"accuracy", "images_shuffled", "longer_wins"}
    assert all((folder / name).stat().st_size > 0 for name in (*KEPT, "report.html", "config.yaml"))
    judge = Judge.load(folder / "judge", device="cpu")
    shown = [pair.preference() for pair in pairs(3, seed=1, held_out=True)]
    votes = judge.vote(shown)
    assert all(len(vote.judgements) == 2 and vote.choice in (0, 1) for vote in votes)
    assert run(replace(SMALL, output=tmp_path / "run"), resume=True) == folder


@pytest.mark.parametrize("config", [SMALL, replace(SMALL, utility=Utility(num_train=8, num_held_out=4))])
def test_stopped_and_resumed_it_ends_with_the_same_bytes(
    config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(replace(config, output=tmp_path / "run"))
    kept = {name: (whole / name).read_bytes() for name in KEPT if (whole / name).exists()}
    assert "figures.json" in kept
    whole.rename(tmp_path / "whole")

    class Killed(Exception):
        pass

    def until_the_second(*args, progress, **settings) -> None:  # type: ignore[no-untyped-def]
        def stop(update) -> None:  # type: ignore[no-untyped-def]
            progress(update)
            if update.number == 2:
                raise Killed

        train(*args, progress=stop, **settings)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(scalar, "train", until_the_second)
        run(replace(config, output=tmp_path / "run"))
    resumed = run(replace(config, output=tmp_path / "run"), resume=True)
    assert {name: (resumed / name).read_bytes() for name in kept} == kept


def test_a_local_qwen2_5_vl_takes_two_updates_at_the_papers_settings(tmp_path: Path) -> None:
    make("qwen2_5_vl", tmp_path / "model")
    write_preferences(tmp_path / "pairs.jsonl", (pair.preference() for pair in pairs(6, seed=0)))
    config = Config(
        model=str(tmp_path / "model"),
        data=Data(train=tmp_path / "pairs.jsonl"),
        output=tmp_path / "run",
        reward=RewardConfig(batch_size=2),
        hardware=replace(Config().hardware, device="cpu", gradient_checkpointing=True),
    )
    folder = run(config)
    assert (folder / "metrics.jsonl").read_text().count('"stage": "reward"') == 2
    trained = ScalarModel.load(folder / "judge", device="cpu")
    assert type(trained.policy.model).__name__ == "Qwen2_5_VLForConditionalGeneration"


@pytest.mark.parametrize("layers", [1, 2])
def test_adapters_and_the_head_alone_can_learn(layers: int, tmp_path: Path) -> None:
    make("llama", tmp_path)
    model = scalar.started(tmp_path, HeadConfig(layers=layers), Hardware(device="cpu"), Lora(rank=2), 0)
    learning = [name for name, p in model.named_parameters() if p.requires_grad]
    assert len(learning) > 2 and all("lora" in n or "head" in n or "score" in n for n in learning)
    assert any("lora" not in name for name in learning)


def test_every_arm_is_a_change_of_the_tiny_settings() -> None:
    for arm in EXPERIMENT.arms.values():
        made = resolve(Config, None, arm.changes, base=tiny())
        assert resolve(Config, None, (), base=made) == made and dump(made)
    figures = {
        name: {"accuracy": 0.9, "longer_wins": 0.5, "images_shuffled": 0.5} for name in EXPERIMENT.arms
    }
    assert all(math.isfinite(claim.measure(figures)) for claim in EXPERIMENT.claims)


def test_its_stage_can_be_planned() -> None:
    [stage] = works(Config())
    assert stage.update is not None and (stage.update.prompts, stage.update.group) == (128, 2)
    preference = pairs(1, seed=0)[0].preference()
    assert asked(preference).text == preference.question


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    config = replace(SMALL, utility=Utility(num_train=8, num_held_out=4), output=tmp_path / "run")
    run(config)
    with pytest.raises(StableRewardError, match="already here"):
        run(config)


def test_what_the_model_cannot_read_is_refused_or_left_out(tmp_path: Path) -> None:
    make("llama", tmp_path / "model")
    long = Preference(question="Hi", responses=("word " * 3000, "b"), ranks=(0, 1))
    rows = [Preference(question="Hi", responses=("a", "b"), ranks=(0, 1), id=str(n)) for n in range(4)]
    write_preferences(tmp_path / "pairs.jsonl", [*rows, long])
    config = replace(
        SMALL,
        model=str(tmp_path / "model"),
        data=Data(train=tmp_path / "pairs.jsonl"),
        output=tmp_path / "run",
    )
    with pytest.raises(StableRewardError, match=r"question and response have \d+ tokens"):
        run(config)
    folder = run(replace(config, data=replace(config.data, skip=("too_long",))))
    assert (folder / "left_out.jsonl").read_text().count("too_long") == 1
