"""PURE, Clip and Delta: an update by hand, an exact resume, and full-scale classes at a tiny size."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen2ForTokenClassification

from stablereward.cli.plan import Planner
from stablereward.errors import ConfigError
from stablereward.objectives.advantages import Signals
from stablereward.policies import tiny
from stablereward.recipes import stepwise
from stablereward.recipes.stepwise import Credit, objective
from stablereward.recipes.tokens import clip_delta, pure
from stablereward.runs.figures import read
from stablereward.training import learner

NAN = float("nan")


def smaller(config, output: Path):  # type: ignore[no-untyped-def]
    return replace(
        config,
        output=output,
        num_held_out=6,
        rl=replace(config.rl, num_updates=5, prompts_per_batch=4, max_completion_length=32),
        hardware=replace(config.hardware, save_every=2),
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pure.run(smaller(pure.tiny(), tmp_path_factory.mktemp("pure") / "whole"))


def test_a_run_leaves_what_there_is_to_see(whole: Path) -> None:
    figures = {figure.name: figure.value for figure in read(whole)}
    assert {"right", "start_right", "steps", "steps_to_hack", "mean_steps", "weights"} <= set(figures)
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert [row["update"] for row in rows if "event" not in row] == [1, 2, 3, 4, 5]
    assert {"steps/count", "steps/repeated", "steps/right", "reward/process"} <= set(rows[0])
    [first, *_] = (whole / "rollouts" / "rl-000001.jsonl").read_text().splitlines()
    shown = json.loads(first)["completions"][0]
    assert len(shown["steps"]) == shown["num_tokens"] and shown["steps"][-1] is not None
    assert (whole / "report.html").exists()


def test_killed_and_resumed_is_the_same_to_the_byte(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    log = learner.RunFolder.log

    def dying(self, stage, update, *given, **named):  # type: ignore[no-untyped-def]
        if update > 3:
            raise Killed
        log(self, stage, update, *given, **named)

    config = smaller(pure.tiny(), tmp_path / "broken")
    with monkeypatch.context() as patched:
        patched.setattr(learner.RunFolder, "log", dying)
        with pytest.raises(Killed):
            pure.run(config)
    pure.run(config, resume=True)
    for name in ("metrics.jsonl", "distributions.jsonl", "figures.json", "policy/model.safetensors"):
        assert (config.output / name).read_bytes() == (whole / name).read_bytes(), name


def test_an_advantage_by_hand() -> None:
    """Two solutions of a problem, one step of two tokens each; the first has the right answer."""
    signals = Signals(
        rewards_B=torch.tensor([1.0, 0.0]),
        groups_B=torch.tensor([0, 0]),
        mask_BT=torch.ones(2, 2, dtype=torch.bool),
        steps_BT=torch.tensor([[NAN, 0.8], [NAN, -0.8]]),
    )
    # Less the other's reward a token, times two tokens: 0.8 + 0.8. Answers against each other: 1.
    plain = objective(Credit(mask_step_ends=False), 1.0).advantage(signals).values_BT
    torch.testing.assert_close(plain, torch.tensor([[2.6, 2.6], [-2.6, -2.6]]))
    masked = objective(Credit(), 1.0).advantage(signals).values_BT
    torch.testing.assert_close(masked, torch.tensor([[2.6, 0.0], [-2.6, 0.0]]))
    unlabelled = objective(Credit(), 0.0).advantage(signals).values_BT
    torch.testing.assert_close(unlabelled, torch.tensor([[1.6, 0.0], [-1.6, 0.0]]))


def test_a_share_of_the_problems_is_labelled() -> None:
    config = pure.tiny()
    known = stepwise.questions(config)
    labelled = [one for one in known if stepwise.is_labelled(config, one)]
    assert 0.07 < len(labelled) / len(known) < 0.13
    assert all(stepwise.is_labelled(replace(config, labelled=1.0), one) for one in known)
    assert not any(stepwise.is_labelled(replace(config, labelled=0.0), one) for one in known)


def test_when_hacking_begins() -> None:
    def hack(*rights: float) -> float:
        rows = [{"steps/right": right, "steps/count": 3.0} for right in rights]
        return stepwise.course(rows)[0].value

    assert hack(*[0.5] * 5, *[1.0] * 5, *[1.0] * 5) == 15
    # Means over five: 1 at update 10, 0.8 at update 11 and 0.6 at update 12.
    assert hack(*[0.5] * 5, *[1.0] * 5, *[0.0] * 5) == 12
    assert hack(1.0, 0.0) == 2


@pytest.mark.parametrize("recipe", [pure, clip_delta])
def test_full_scale_classes_run_from_folders(tmp_path: Path, recipe) -> None:  # type: ignore[no-untyped-def]
    """The default settings, at a tiny size: a Qwen2, its process model, a file of problems with answers."""
    tokenizer = tiny.train_tokenizer((), vocab_size=264)
    shape = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
        "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 256,
        "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None,
    }  # fmt: skip
    Qwen2ForCausalLM(Qwen2Config(**shape)).save_pretrained(tmp_path / "model")
    Qwen2ForTokenClassification(Qwen2Config(**shape, num_labels=2)).save_pretrained(tmp_path / "process")
    for folder in ("model", "process"):
        tokenizer.save_pretrained(tmp_path / folder)
    rows = [{"problem": f"{n}", **({"answer": str(n)} if n % 2 else {})} for n in range(10)]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    full = recipe.Config()
    small = replace(
        full,
        model=str(tmp_path / "model"),
        process_model=str(tmp_path / "process"),
        data=tmp_path / "problems.jsonl",
        output=tmp_path / "run",
        rl=replace(full.rl, num_updates=2, prompts_per_batch=4, max_completion_length=12),
        hardware=replace(full.hardware, device="cpu"),
    )
    assert "right" in {figure.name for figure in read(recipe.run(small))}


def test_what_is_refused_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="data has no value"):
        pure.run(pure.Config(output=tmp_path / "run"))
    with pytest.raises(ConfigError, match="labelled must be at most 1"):
        pure.Config(labelled=1.5)
    with pytest.raises(ConfigError, match="save_every is 5"):
        pure.Config(hardware=replace(pure.Config().hardware, save_every=5))


@pytest.mark.parametrize("recipe", ["pure", "clip_delta"])
def test_memory_can_be_planned(recipe: str) -> None:
    plan = Planner(recipe, None, ("model=sums", "sums=true", "hardware.device=cpu"), gpu=80.0).plan()
    assert [stage.name for stage in plan.stages] == ["rl", "measurement"]
    assert plan.worst.peak > 0
