"""Settings: what is accepted, what is refused and how, and that a dump reads back as itself."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from stablereward.config import dump, resolve
from stablereward.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Sampling:
    temperature: float = 1.0
    top_p: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Adapter:
    rank: int = 8


@dataclass(frozen=True, kw_only=True)
class Run:
    name: str = "run"
    learning_rate: float = 1e-6
    updates: int = 10
    swap: bool = True
    loss: Literal["sum", "mean"] = "mean"
    limit: int | None = None
    weights: tuple[float, ...] = (1.0, 0.5)
    folder: Path = Path("runs")
    sampling: Sampling = field(default_factory=lambda: Sampling(temperature=0.7))
    adapter: Adapter | None = None


@dataclass(frozen=True, kw_only=True)
class Needy:
    model: Path
    sampling: Sampling = Sampling()


def refusal(*overrides: str, cls: type = Run) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve(cls, None, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["name", "folder"])
def test_text_with_nul_is_refused(name: str) -> None:
    said = refusal(f'{name}="a\\0b"')
    assert said.endswith(f"{name} should be without the character NUL")


def test_a_blank_path_is_refused() -> None:
    assert refusal("folder='  '").endswith("folder should be a path, not '  '")


def test_defaults_then_file_then_overrides(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("learning_rate: 1e-4\nupdates: 20\nsampling: {top_p: 0.9}\n")
    config = resolve(Run, file, ["updates=30", "sampling.top_p=0.8", "weights=[2, 3.5]", "folder=out"])
    assert config == Run(
        learning_rate=1e-4,
        updates=30,
        weights=(2.0, 3.5),
        folder=Path("out"),
        sampling=Sampling(temperature=0.7, top_p=0.8),
    )
    assert isinstance(config.weights[0], float)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("learning_rate=1e-4", 1e-4),
        ("learning_rate=3", 3.0),
        ("learning_rate=.5", 0.5),
        ("learning_rate=.inf", math.inf),
        ("limit=5", 5),
        ("limit=null", None),
        ("swap=false", False),
        ("loss=sum", "sum"),
        ("name=no", "no"),
        ("name=123", "123"),
        ("name=1e-4", "1e-4"),
        ("name=", ""),
        ("name=a=b: [c", "a=b: [c"),
        ("name=2024-01-01", "2024-01-01"),
        ("folder=2024", Path("2024")),
    ],
)
def test_accepted_values(override, value):
    assert getattr(resolve(Run, None, [override]), override.partition("=")[0]) == value


@pytest.mark.parametrize(
    "override",
    [
        "updates=abc",
        "updates=true",
        "updates=1.5",
        "updates='1'",
        "swap=1",
        "swap=yes",
        "learning_rate=abc",
        "learning_rate=true",
        "learning_rate='1e-4'",
        "loss=max",
        "limit=abc",
        "weights=[1, abc]",
        "weights=1",
        "sampling=3",
        "sampling=null",
        "updates=99999999999999999999999",
    ],
)
def test_wrong_types_name_the_setting_and_the_override(override):
    message = refusal(override)
    assert message.startswith("--set") and f": {override.partition('=')[0]} should be" in message


def test_unknown_names_get_the_nearest_valid_one():
    assert "did you mean learning_rate?" in refusal("learning_rat=1")
    assert "did you mean sampling.temperature?" in refusal("temperature=1")
    assert "did you mean sampling.top_p?" in refusal("sampling.topp=1")
    assert "the settings are name, learning_rate" in refusal("zzzzzz=1")


def test_a_group_is_not_a_value():
    assert "updates should be one value" in refusal("updates.more=1")
    assert "updates should be one value" in refusal("updates={}")


def test_an_override_needs_a_name_and_a_value():
    assert "write --set name=value" in refusal("updates")
    assert "write --set name=value" in refusal("=3")


def test_an_optional_group_turns_on_and_off():
    assert resolve(Run, None, ["adapter={}"]).adapter == Adapter()
    assert resolve(Run, None, ["adapter.rank=4"]).adapter == Adapter(rank=4)
    assert resolve(Run, None, ["adapter.rank=4", "adapter=null"]).adapter is None
    assert resolve(Run, None, ["adapter=null", "adapter.rank=4"]).adapter == Adapter(rank=4)


def test_a_required_setting_must_be_given():
    assert refusal(cls=Needy).startswith("model has no value")
    assert resolve(Needy, None, ["model=m"]).model == Path("m")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("updates: [1", "run.yaml:"),
        ("- 1\n", "not a mapping"),
        ("updates: ten\n", "run.yaml: updates should be a valid integer, not 'ten'"),
        ("name: !!python/object/apply:os.getcwd []\n", "run.yaml:1: not valid YAML"),
        ("name: !!timestamp 2024-01-01\n", "run.yaml:1: not valid YAML"),
        ("a: &a [1]\nb: *a\n", "run.yaml:2: not valid YAML (aliases"),
        ("\x00", "not valid YAML"),
        ("a: " + "[" * 50_000, "not valid YAML"),
        ("# " + "x" * 300_000, "larger than 256 KiB"),
        ("1: 2\n", "there is no setting '1'"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path, text, expected):
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        resolve(Run, file)
    assert expected in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read"):
        resolve(Run, tmp_path / "absent.yaml")


def test_a_base_replaces_the_defaults():
    base = Run(updates=7, sampling=Sampling(temperature=0.0, top_p=0.5))
    assert resolve(Run, None, ["sampling.top_p=0.6"], base=base) == Run(
        updates=7, sampling=Sampling(temperature=0.0, top_p=0.6)
    )


def test_an_empty_file_means_the_defaults(tmp_path):
    (tmp_path / "run.yaml").write_text("# nothing\n")
    assert resolve(Run, tmp_path / "run.yaml") == Run()


TRICKY = [
    "",
    "1e-4",
    "no",
    "null",
    "~",
    "true",
    "007",
    "12:30",
    "2024-01-01",
    "1_000",
    "é\n\t\\ \x07",
    "- a",
    "#",
]


@pytest.mark.parametrize(
    "config",
    [
        Run(),
        Run(limit=3, weights=(), adapter=Adapter(rank=2), learning_rate=1e20),
        Run(learning_rate=math.inf, swap=False, loss="sum", folder=Path("1e-4")),
        *[Run(name=text) for text in TRICKY],
    ],
)
def test_law_a_dump_resolves_to_an_equal_config(tmp_path, config):
    file = tmp_path / "config.yaml"
    file.write_text(dump(config), encoding="utf-8")
    assert resolve(Run, file) == config
