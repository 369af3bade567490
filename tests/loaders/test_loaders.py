"""The reader of `make loaders` sees what a folder loses; here it runs in this release, on damaged folders."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.loaders import folders
from tests.loaders.read import read
from tests.loaders.table import complaint

Damage = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a family, made once."""
    made: dict[str, Path] = {}

    def place(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("family")
            folders.save_judge(name, made[name])
        return made[name]

    return place


@pytest.mark.parametrize("name", ["Llama, merged adapters", "Qwen2.5-VL, tied"])
def test_a_saved_folder_is_read_as_it_was(name: str, places: Callable[[str], Path]) -> None:
    assert complaint(read(places(name))) is None


@pytest.mark.parametrize(
    ("file", "damage", "seen"),
    [
        ("config", lambda c: c.update(rope_theta=1e4, rope_parameters=None), "off by"),
        ("config", lambda c: c.update(dtype="bfloat16"), "dtype"),
        ("generation_config", lambda c: c.pop("top_k"), "generate samples from 50 tokens"),
        ("generation_config", lambda c: c.update(eos_token_id=[0]), "stops at"),
        ("tokenizer", lambda c: c["added_tokens"].pop(), "tokens"),
    ],
)
def test_a_damaged_folder_is_seen(
    file: str, damage: Damage, seen: str, places: Callable[[str], Path], tmp_path: Path
) -> None:
    place = tmp_path / "damaged"
    shutil.copytree(places("Llama, merged adapters"), place)
    settings = json.loads((place / f"judge/{file}.json").read_text())
    damage(settings)
    (place / f"judge/{file}.json").write_text(json.dumps(settings))
    assert seen in str(complaint(read(place)))


def test_another_weight_another_template_and_other_pixels_are_seen(
    places: Callable[[str], Path], tmp_path: Path
) -> None:
    place = tmp_path / "damaged"
    shutil.copytree(places("Qwen2.5-VL, tied"), place)
    weights = load_file(place / "judge/model.safetensors")
    weights["visual.patch_embed.proj.weight"] *= 1.01
    save_file(weights, place / "judge/model.safetensors", {"format": "pt"})
    (place / "judge/chat_template.jinja").write_text("{{ messages[0]['role'] }}")
    images = json.loads((place / "judge/preprocessor_config.json").read_text())
    (place / "judge/preprocessor_config.json").write_text(
        json.dumps({**images, "image_mean": [0.5, 0.5, 0.5]})
    )
    seen = str(complaint(read(place)))
    assert all(what in seen for what in ("chat template", "off by", "pixels off by")), seen


def test_what_is_not_a_number_is_wrong() -> None:
    result = {"difference": torch.nan, "wrong": [], "pixels": None}
    assert complaint(result) == "off by nan"
    assert complaint({"error": "OSError: no"}) == "OSError: no"
