"""The base generators: trained by one command, shipped small, and with head-room on what is rare."""

import random
from pathlib import Path

import pytest

from stablereward.policies.diffusion import DiffusionPolicy, sampler
from stablereward.types import Failure
from stablereward.worlds.shapes.base import Config, drawings, run
from stablereward.worlds.shapes.drawings import SCENES, scene_of
from stablereward.worlds.shapes.oracle import rule
from stablereward.worlds.shapes.rewards import Cls

MODELS = Path(__file__).parents[3] / "stablereward" / "models"
PARTS = ("shapes", "shapes-flow", "shapes-classifier")


def test_the_command_makes_what_is_shipped(tmp_path: Path) -> None:
    config = Config(
        vae_updates=2, unet_updates=2, flow_updates=2, classifier_updates=2, batch_size=4, num_pictures=16
    )
    run(tmp_path, config)
    for part in PARTS:
        made = {
            path.relative_to(tmp_path): path.stat().st_size
            for path in (tmp_path / part).rglob("*.safetensors")
        }
        shipped = {
            path.relative_to(MODELS): path.stat().st_size for path in (MODELS / part).rglob("*.safetensors")
        }
        assert made == shipped
    for part in PARTS[:2]:
        assert DiffusionPolicy.load(tmp_path / part, device="cpu", num_steps=2).num_steps == 2
    Cls(tmp_path / "shapes-classifier" / "model.safetensors")


@pytest.mark.parametrize("part", PARTS)
def test_what_is_shipped_is_small(part: str) -> None:
    assert sum(path.stat().st_size for path in (MODELS / part).rglob("*") if path.is_file()) < 3_000_000


def test_rare_scenes_are_rare() -> None:
    prompts, pictures = drawings(Config(num_pictures=2000), rare=0.03)
    share = sum(scene_of(prompt).is_rare for prompt in prompts) / len(prompts)
    assert pictures.shape == (2000, 1, 16, 16) and share < 0.06
    assert sum(scene.is_rare for scene in SCENES) == 48


@pytest.mark.parametrize(("name", "eta"), [("shapes", 1.0), ("shapes-flow", 0.7)])
def test_common_scenes_are_drawn_and_rare_ones_have_head_room(name: str, eta: float) -> None:
    policy = DiffusionPolicy.load(name, device="cpu", num_steps=10, eta=eta, guidance=1.0, at_once=48)
    scenes = random.Random(0).sample(SCENES, 48)
    right: dict[bool, list[float]] = {True: [], False: []}
    for scene, drawn in zip(scenes, sampler(policy, 1)([s.prompt for s in scenes], 0), strict=True):
        assert not isinstance(drawn, Failure)
        right[scene.is_rare].append(rule(scene.prompt, drawn[0].picture_CHW))
    common, rare = (sum(right[key]) / len(right[key]) for key in (False, True))
    assert common > 0.8 and 0.1 < rare < 0.7
