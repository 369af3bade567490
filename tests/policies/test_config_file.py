"""What a config.json may say, and that everything else is one line before anything is made of it."""

import json
import time
from pathlib import Path

import pytest

from stablereward.errors import ModelError
from stablereward.policies.config_file import read_config
from stablereward.policies.process_model import ProcessModel
from stablereward.policies.scalar import ScalarModel
from stablereward.policies.scalar_head import HeadConfig
from stablereward.policies.shipped import model_folder
from stablereward.policies.token import TokenPolicy
from stablereward.training.outline import read_config as planned_config
from tests.policies.families import ALL, make

WRONG: tuple[tuple[str, object], ...] = (
    ("rope_parameters", "text"),
    ("rope_scaling", {"rope_type": "default", "mrope_section": [1]}),
    ("rope_scaling", {"rope_type": "default", "mrope_section": "text"}),
    ("rope_theta", -1.0),
    ("hidden_size", -1),
    ("hidden_size", "64"),
    ("hidden_size", 10**9),
    ("hidden_act", None),
    ("vocab_size", 0),
    ("vocab_size", 10**12),
    ("num_hidden_layers", 10**9),
    ("num_attention_heads", 0),
    ("max_position_embeddings", -5),
    ("pad_token_id", 10**9),
    ("dtype", [1]),
    ("eos_token_id", "end"),
)


def damaged(folder: Path, name: str, value: object) -> Path:
    """The toy judge with one setting of its text model changed."""
    for file in model_folder("toy").iterdir():
        (folder / file.name).symlink_to(file)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").unlink()
    if name == "rope_parameters":  # the newer name wins where the older ones are gone
        del config["text_config"]["rope_scaling"], config["text_config"]["rope_theta"]
    config["text_config"][name] = value
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_setting_is_one_line_at_once(name: str, value: object, tmp_path: Path) -> None:
    folder, clock = damaged(tmp_path, name, value), time.monotonic()
    with pytest.raises(ModelError) as refused:
        TokenPolicy.load(folder, device="cpu")
    assert time.monotonic() - clock < 10
    said = str(refused.value)
    assert said.startswith(f"{folder}: cannot be loaded as a model: ") and "\n" not in said
    assert len(said) < 600 and not said.endswith(":")


@pytest.mark.parametrize("number", [-1, 10**9])
@pytest.mark.parametrize("name", ["image_token_id", "video_token_id", "vision_end_token_id"])
def test_a_placeholder_that_is_no_token_is_named(name: str, number: int, tmp_path: Path) -> None:
    folder = damaged(tmp_path, "hidden_act", "silu")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {name: number}))
    with pytest.raises(ModelError, match=f"{name} is {number} in config.json"):
        TokenPolicy.load(folder, device="cpu")


def test_whoever_loads_a_model_looks_at_its_sizes(tmp_path: Path) -> None:
    folder = damaged(tmp_path, "vocab_size", 10**12)
    for load in (
        lambda: ScalarModel.start(folder, HeadConfig(layers=1, activation="none"), device="cpu"),
        lambda: ScalarModel.start(folder, HeadConfig(layers=2), device="cpu"),
        lambda: ProcessModel.load(folder, device="cpu"),
        lambda: planned_config(folder),
    ):
        with pytest.raises(ModelError, match=r"vocab_size is 1000000000000 in config\.json; it must be 1 to"):
            load()


@pytest.mark.parametrize("family", ALL)
def test_what_is_right_is_taken(family: str, tmp_path: Path) -> None:
    policy = make(family, tmp_path)
    assert type(read_config(tmp_path)) is type(policy.model.config)
