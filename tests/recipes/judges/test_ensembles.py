"""Ensembles: who is made of what, what constants do, and the whole run small on points and on scenes."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stablereward.config import dump, resolve
from stablereward.recipes.judges.ensembles import EXPERIMENT, Config, run, tiny, works
from stablereward.recipes.members import COMBINES, _offset
from stablereward.recipes.sources import Data, Toy
from stablereward.recipes.stages import Hardware
from stablereward.runs.figures import read
from stablereward.training.pairwise import RewardConfig
from stablereward.worlds.showy import Showy
from tests.policies.families import make

SMALL = replace(
    tiny(),
    num_members=3,
    showy=Showy(num_train=40, num_questions=6, num_candidates=64),
    reward=replace(tiny().reward, epochs=1.0, batch_size=20),
)


def test_the_full_scale_is_the_papers() -> None:
    config = Config()
    assert len(set(config.models)) == config.num_members == 5
    assert [config.place(m) for m in range(5)] == [0, 1, 2, 3, 4]
    assert [replace(config, models=("one",)).place(m) for m in range(5)] == [0] * 5
    assert len({config.member_seed(m) for m in range(5)}) == 5
    assert config.model == config.models[0] and works(config)[0].update is not None


def test_the_run_on_points_has_every_figure_and_shows_the_curves(tmp_path: Path) -> None:
    folder = run(replace(SMALL, output=tmp_path / "run"))
    found = {figure.name: figure.value for figure in read(folder)}
    assert found.keys() >= EXPERIMENT.figures.keys()
    assert found["mean_shifted"] == pytest.approx(found["mean"])
    assert set(json.loads((folder / "over_optimization.json").read_text())) == {"one member", *COMBINES}
    assert "Gold of best-of-n" in (folder / "report.html").read_text()
    assert len(list(folder.glob("judge-*"))) == 3
    again = run(replace(SMALL, output=tmp_path / "again"))
    assert (again / "figures.json").read_bytes() == (folder / "figures.json").read_bytes()


def test_members_of_one_map_share_their_features_and_not_their_heads(tmp_path: Path) -> None:
    folder = run(replace(SMALL, models=("map 1",), output=tmp_path / "run"))
    heads = {path.read_bytes() for path in folder.glob("judge-*/reward_head.safetensors")}
    assert len(heads) == 3


def test_the_offset_by_hand() -> None:
    scores_MPN = torch.tensor([[[0.0, 2.0]], [[4.0, 6.0]]])
    assert _offset(scores_MPN) == pytest.approx(math.sqrt(8) / math.sqrt(2))


def test_the_run_on_dialogues_measures_members_and_what_is_made_of_them(tmp_path: Path) -> None:
    make("qwen2_5_vl", tmp_path / "model")
    config = Config(
        models=(str(tmp_path / "model"),),
        num_members=2,
        data=Data(toy=Toy(num_train=6, num_held_out=4)),
        reward=RewardConfig(batch_size=3),
        hardware=Hardware(device="cpu"),
        output=tmp_path / "run",
    )
    found = {figure.name for figure in read(run(config))}
    assert found == {"member 1", "member 2", *COMBINES, "longer wins"}


def test_every_arm_is_a_change_of_the_tiny_settings() -> None:
    for arm in EXPERIMENT.arms.values():
        made = resolve(Config, None, arm.changes, base=tiny())
        assert resolve(Config, None, (), base=made) == made and dump(made)
    names = [*EXPERIMENT.figures, "single_gain", "mean_shifted"]
    figures = {arm: dict.fromkeys(names, 0.5) for arm in EXPERIMENT.arms}
    assert all(math.isfinite(claim.measure(figures)) for claim in EXPERIMENT.claims)
