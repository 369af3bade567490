from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from stablereward.errors import ModelError
from stablereward.policies import shipped
from stablereward.policies.scalar import load_scorer
from stablereward.policies.shipped import SHIPPED, model_folder, pipeline_source
from stablereward.policies.token import TokenPolicy


def model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def test_a_path_is_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert model_folder(model(tmp_path / "judge")) == tmp_path / "judge"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert model_folder("~/judge") == tmp_path / "judge"


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_name_is_not_shadowed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    try:
        found = model_folder(name)
    except ModelError as error:
        assert "missing from this installation" in str(error)
    else:
        assert found.is_absolute() and found.parent == Path(shipped.__file__).parents[1] / "models"
    assert model_folder(f"./{name}").resolve() == tmp_path / name


@pytest.mark.parametrize(
    "name", ["m" * 300, "owner/" + "m" * 300, "m/" * 3000, "~no-such-user/judge", "a\0b"]
)
@pytest.mark.parametrize("found", [model_folder, pipeline_source])
def test_a_name_that_no_file_can_have_is_one_line(found: Callable[[str], object], name: str) -> None:
    try:
        found(name)
    except ModelError as error:
        assert "\n" not in str(error) and len(str(error)) < 600
    else:
        assert found is pipeline_source and "/" in name


def test_no_model_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "not" / "there", "nowhere"):
        with pytest.raises(ModelError, match=r"no model here.*toy, toy-base, captions, sums$"):
            model_folder(path)


def test_a_hub_name_is_downloaded_once_and_without_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, hub = [], model(tmp_path / "hub")

    def download(name: str, *, allow_patterns: list[str]) -> str:
        asked.append(name)
        assert "*.safetensors" in allow_patterns
        assert not any(pattern.endswith((".py", ".bin", "*")) for pattern in allow_patterns)
        return str(hub)

    monkeypatch.setattr(shipped, "snapshot_download", download)
    monkeypatch.chdir(tmp_path)
    assert model_folder("Qwen/Qwen2.5-VL-7B-Instruct") == hub
    model(tmp_path / "runs" / "judge")
    assert model_folder("runs/judge") == Path("runs/judge")
    for path in ("/runs/other", "../runs/other", "a/b/c", "runs/"):
        with pytest.raises(ModelError, match="no model here"):
            model_folder(path)
    assert asked == ["Qwen/Qwen2.5-VL-7B-Instruct"]


def test_a_hub_that_does_not_answer_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(name: str, **_: object) -> str:
        raise LocalEntryNotFoundError("no route\nto host")

    monkeypatch.setattr(shipped, "snapshot_download", unreachable)
    with pytest.raises(
        ModelError, match=r"^no/model: neither a folder here nor a model the hub gives"
    ) as caught:
        model_folder("no/model")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("beside", [["config.json", "model.safetensors"], []])
def test_an_adapter_is_refused_before_anything_is_read(beside: list[str], tmp_path: Path) -> None:
    for name in ("adapter_config.json", "adapter_model.safetensors", *beside):
        (tmp_path / name).write_text("{")
    for read in (TokenPolicy.load, load_scorer):
        with pytest.raises(ModelError, match=r"has an adapter .*merge it into its base model"):
            read(tmp_path, device="cpu")
