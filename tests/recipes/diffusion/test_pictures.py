"""What recipes of generators share: prompts by name, and measurements at one level of the reward."""

from pathlib import Path

import pytest
import torch

from stablereward.errors import ConfigError, DataError
from stablereward.recipes.diffusion.pictures import ANIMALS, Task, at_level, prompts_of, reward_of, shuffled
from stablereward.rewards.clip_score import ClipScore
from stablereward.worlds.shapes.rewards import Cls, bright


def test_prompts_by_name_or_file(prompts: Path, tmp_path: Path) -> None:
    assert len(ANIMALS.split()) == len(set(ANIMALS.split())) == 45
    assert prompts_of("animals")[0].text == "cat" and len(prompts_of("shapes")) == 96
    assert [prompt.text for prompt in prompts_of(str(prompts))] == ["cat", "dog", "bee"]
    with pytest.raises(ConfigError, match="give animals, shapes or a text file"):
        prompts_of(str(tmp_path / "missing"))
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(DataError, match="no prompt"):
        prompts_of(str(tmp_path / "empty"))


def test_rewards_by_name_or_folder(clip: Path) -> None:
    device = torch.device("cpu")
    assert reward_of("bright", device) is bright and isinstance(reward_of("cls", device), Cls)
    assert isinstance(reward_of(str(clip), device), ClipScore)


def test_an_order_of_prompts_is_the_seeds() -> None:
    everything = prompts_of("animals")
    assert shuffled(everything, 1) == shuffled(everything, 1) != shuffled(everything, 2)
    assert sorted(p.text for p in shuffled(everything, 1)) == sorted(p.text for p in everything)


def test_at_a_level_what_was_measured_is_between_its_neighbours() -> None:
    course = [{"reward": 0.0, "rule": 1.0}, {"reward": 0.4, "rule": 0.8}, {"reward": 0.2, "rule": 0.1}]
    assert at_level(course, 0.1) == pytest.approx({"reward": 0.1, "rule": 0.95})
    assert at_level(course, 0.4) == pytest.approx({"reward": 0.4, "rule": 0.8})
    assert at_level(course, 0.5) == {} and at_level(course[:1], 0.0) == {}


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="measured"):
        Task(measured=1)
