"""What the machine has and what fits on it."""

import re
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest

from stablereward.cli import main
from stablereward.cli.devices import ROOM, Device, device_of, devices
from stablereward.cli.doctor import libraries
from stablereward.cli.memory import PUBLISHED, judging, training
from stablereward.cli.plan import Planner, remedies, show_plan, warning
from stablereward.errors import ConfigError, ModelError, StableRewardError
from stablereward.policies.shipped import model_folder
from stablereward.recipes.found import described, load
from stablereward.recipes.judges.r1_reward import Config, tiny
from stablereward.training.outline import Outline

TOY = ["--plan", "r1_reward", "--set", "model=toy", "--set", "data.toy.num_train=4"]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as end:
        main(["doctor", *arguments])
    captured = capsys.readouterr()
    return end.value.code, captured.out, captured.err


@pytest.mark.slow
def test_the_core_works_here(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys)
    assert code == 0
    assert "train in full" in out and all(name in out for name in PUBLISHED)


def test_every_requirement_is_looked_up() -> None:
    try:
        wanted = requires("stablereward")
    except PackageNotFoundError:
        pytest.skip("stablereward is not installed here")
    assert wanted is not None
    found = {library.name: library for library in libraries()}
    assert found["torch"].found == version("torch") and found["torch"].fits and found["torch"].extra == ""
    assert found["pyarrow"].extra == "data"
    assert "pytest" not in found


def test_the_last_device_is_the_processor() -> None:
    *gpus, cpu = devices()
    assert not cpu.gpu and cpu.memory > 2**30
    assert all(gpu.gpu for gpu in gpus)
    assert device_of("cpu") == cpu
    with pytest.raises(ConfigError, match="the memory of 'meta' is not known"):
        device_of("meta")


def test_a_device_keeps_room() -> None:
    device = Device("a GPU", 100, gpu=True)
    assert device.fits(100 * ROOM) and not device.fits(100 * ROOM + 1)


def test_published_shapes_are_of_the_size_in_their_name() -> None:
    counts = {name: Outline(shapes().config).num_parameters() for name, shapes in PUBLISHED.items()}
    assert counts == {
        "Qwen2.5-0.5B": 494_032_768,
        "Qwen2.5-VL-3B": 3_754_622_976,
        "Qwen2.5-VL-7B": 8_292_166_656,
    }


def test_less_work_needs_less_memory() -> None:
    shapes = PUBLISHED["Qwen2.5-0.5B"]()
    for gpu in (True, False):
        lora, full = (training(shapes, gpu=gpu, lora=lora) for lora in (True, False))
        assert judging(shapes, gpu=gpu) < lora < full


def test_a_plan_that_fits(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, *TOY, "--gpu", "80")
    assert code == 0
    assert out.splitlines()[-1].startswith("fits: rl needs ")
    assert all(word in out for word in ("cold_start", "difficulty", "measurement", "keys and values", "peak"))
    assert "the longest of the first 4" in out


def test_a_plan_that_does_not_fit_says_what_would_help(capsys: pytest.CaptureFixture[str]) -> None:
    big = ["--set", "rl.max_completion_length=1800", "--set", "rl.token_budget=65536"]
    code, out, err = run(capsys, *TOY, *big, "--gpu", "1")
    assert code == 1
    assert err.startswith("error: does not fit: rl needs ") and err.count("\n") == 1
    helps = [line for line in out.splitlines() if line.startswith("  --set")]
    assert "hardware.gradient_checkpointing=true" in helps[0]


@pytest.mark.slow
def test_what_would_help_is_planned_and_cheapest_first() -> None:
    planner = Planner("r1_reward", None, TOY[3::2], gpu=1)
    planner.device = Device("a GPU", 1, gpu=True)
    before, found = planner.plan(), list(remedies(planner, planner.plan()))
    peaks = [before.worst.peak, *(stage.peak for _, stage in found)]
    assert peaks == sorted(peaks, reverse=True) and len(set(peaks)) == len(peaks)
    changes = [change.removeprefix("--set ") for change, _ in found]
    assert changes[0] == "hardware.gradient_checkpointing=true"
    assert planner.plan(changes[:1]).worst == found[0][1]


def test_a_folder_with_a_config_alone_is_planned(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes((model_folder("toy") / "config.json").read_bytes())
    settings = ["--plan", "r1_reward", "--set", f"model={tmp_path}", "--gpu", "80"]
    code, out, _ = run(capsys, *settings)
    assert code == 0 and "prompts of 1024 tokens, 3072 image patches" in out and "no tokenizer" in out


def test_a_reward_model_is_planned_with_the_remedies_that_it_has() -> None:
    planner = Planner("base_reward", None, TOY[3::2], gpu=1)
    planner.device = Device("a GPU", 1, gpu=True)
    changes = [change for change, _ in remedies(planner, planner.plan())]
    assert changes[0] == "--set hardware.gradient_checkpointing=true"
    assert any("reward.token_budget" in change for change in changes)
    assert any("lora.rank" in change for change in changes)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--plan", "r1_rewrd"], 2, "did you mean r1_reward"),
        (["--plan", "toy_base"], 2, "cannot be planned"),
        (["--plan", "r1_reward", "--set", "model=nobody/nothing"], 4, "a plan downloads nothing"),
        (["--plan", "r1_reward", "--set", "rl.tokens=3"], 2, "did you mean"),
        (["--set", "model=toy"], 2, "name a recipe with --plan"),
    ],
)
def test_what_cannot_be_planned(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    ended, _, err = run(capsys, *arguments)
    assert ended == code and words in err and err.count("\n") == 1


def test_a_run_is_warned_of_only_where_it_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    assert warning("r1_reward", tiny()) is None and warning("ddpo", load("ddpo").tiny()) is None
    assert warning("r1_reward", Config(model="nobody/nothing")) is None
    monkeypatch.setattr("stablereward.cli.plan.device_of", lambda name: Device("a GPU", 2**20, gpu=True))
    assert "seems to need" in (warning("r1_reward", tiny()) or "")
    assert "ddpo seems to need" in (warning("ddpo", load("ddpo").tiny()) or "")


@pytest.mark.parametrize("recipe", [name for name in described() if "/" in name])
def test_every_recipe_is_planned_at_full_scale(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--plan", recipe, "--gpu", "10000")
    assert code == 0 and "\nfits: " in out


@pytest.mark.parametrize("recipe", ["alignprop", "ddpo", "resfit"])
def test_what_has_no_language_model_is_planned_by_its_own_rule(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_plan(recipe, None, [], 80)
    out = capsys.readouterr().out
    assert out.startswith(f"{recipe}: ") and out.splitlines()[-1].startswith(f"fits: {recipe} needs ")


def test_a_generator_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(StableRewardError, match="does not fit: ddpo needs"):
        show_plan("ddpo", None, [], 16)


def test_a_generator_of_another_kind_has_no_plan_yet() -> None:
    with pytest.raises(ModelError, match="shapes-flow: no UNet"):
        show_plan("ddpo", None, ["task.model=shapes-flow"], 16)


def test_the_plan_of_a_generator_counts_its_published_weights(capsys: pytest.CaptureFixture[str]) -> None:
    def told(*settings: str, recipe: str = "alignprop") -> dict[str, float]:
        show_plan(recipe, None, settings, 10_000)
        out = capsys.readouterr().out
        found = re.findall(r"(network|text|decoder|a step with its gradient|together):? ([0-9.]+) GiB", out)
        return {name.removeprefix("a step with its "): float(size) for name, size in found}

    whole = told()
    # 859,520,964, 123,060,480 and 83,653,863 numbers in the files of Stable Diffusion 1.5.
    weights = [859_520_964, 123_060_480, 83_653_863]
    assert [whole[name] for name in ("network", "text", "decoder")] == [
        round(4 * n / 2**30, 2) for n in weights
    ]
    assert told("training.at_once=4")["together"] < whole["together"]
    black_box = told(recipe="ddpo")["together"]
    assert told("task.drawing.at_once=4", recipe="ddpo")["together"] < black_box < whole["together"]
    # The window of steps counts where they are kept.
    all_kept = "hardware.gradient_checkpointing=false"
    last, full = told(all_kept, "window=last")["together"], told(all_kept, "window=full")["together"]
    assert whole["together"] < last
    assert full - last == pytest.approx(49 * whole["gradient"], rel=1e-3)
