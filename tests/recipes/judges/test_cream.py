"""CREAM: agreement and confidence by hand, an exact resume, and its full-scale classes at a tiny size."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stablereward.cli.plan import Planner
from stablereward.errors import ConfigError
from stablereward.policies import tiny, tiny_families
from stablereward.recipes.judges import cream
from stablereward.recipes.judges.cream import Config, paired, run
from stablereward.recipes.self_rewarding import consistency
from stablereward.runs.figures import read
from stablereward.training import learner
from stablereward.types import Group, Reward
from stablereward.worlds.menu import Asked, Pick

TINY = cream.tiny()
SMALL = replace(
    TINY,
    num_rounds=2,
    sft=replace(TINY.sft, epochs=3.0),
    dpo=replace(TINY.dpo, epochs=4.0),
    hardware=replace(TINY.hardware, save_every=3),
)


def ranked(*scores: tuple[float, float]) -> Group[Asked, Pick]:
    return Group(
        prompt=Asked(0),
        trajectories=tuple(Pick(answer=n) for n in range(len(scores))),
        rewards=tuple(Reward(value=now, parts={"previous": before}) for now, before in scores),
    )


SAME = ranked((1, 10), (2, 20), (3, 30))
TURNED = ranked((1, 30), (2, 20), (3, 10))
MIXED = ranked((1, 10), (2, 30), (3, 20))


def test_consistency_by_hand() -> None:
    found = [consistency(group) for group in (SAME, TURNED, MIXED)]
    assert found == pytest.approx([1.0, 0.0, 2 / 3])
    assert consistency(ranked((1, 1), (1, 2))) is None


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [("average", [5 / 6] * 2), ("prompt", [1.0, 2 / 3]), ("constant", [0.75] * 2), ("none", [1.0] * 2)],
)
def test_confidence_of_each_kind_stays_with_its_prompt(kind: str, wanted: list[float]) -> None:
    """A prompt without an order between two others is left out and shifts nobody's confidence."""
    config = replace(TINY, confidence=kind)  # type: ignore[arg-type]
    pairs = paired([SAME, ranked((1, 1), (1, 2)), MIXED], config)
    better = [pair.rewards[0] for pair in pairs]
    assert [r.parts["confidence"] for r in better if isinstance(r, Reward)] == pytest.approx(wanted)
    assert [r.parts["consistency"] for r in better if isinstance(r, Reward)] == pytest.approx([1.0, 2 / 3])
    assert all([t.answer for t in pair.trajectories] == [2, 0] for pair in pairs)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(replace(SMALL, output=tmp_path_factory.mktemp("cream") / "whole"))


def test_the_first_round_compares_with_the_start_and_later_ones_with_the_round_before(whole: Path) -> None:
    figures = {figure.name: figure.value for figure in read(whole)}
    assert {"gold_0", "gold_1", "gold_3", "consistency_1", "consistency_2"} <= set(figures)
    assert figures["gold_0"] != figures["gold_1"] != figures["gold_2"]
    rounds = [json.loads((whole / "chosen" / f"rounds-000{n}.json").read_text()) for n in (1, 2)]
    first, second = ([one for pair in r["chosen"] for one in pair["completions"]] for r in rounds)
    # One step each: M0's mean log-probability is its sum.
    assert all(one["parts"]["previous"] == pytest.approx(one["parts"]["reference"]) for one in first)
    assert not any(one["parts"]["previous"] == pytest.approx(one["parts"]["reference"]) for one in second)


@pytest.mark.parametrize("killed_at", ["sft", "rounds"])
def test_killed_and_resumed_is_the_same_to_the_byte(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_at: str
) -> None:
    class Killed(BaseException):
        pass

    log = learner.RunFolder.log

    def dying(self, stage, update, *given, **named):  # type: ignore[no-untyped-def]
        if stage == killed_at and update > (2 if stage == "sft" else 7):
            raise Killed
        log(self, stage, update, *given, **named)

    config = replace(SMALL, output=tmp_path / "broken")
    with monkeypatch.context() as patched:
        patched.setattr(learner.RunFolder, "log", dying)
        with pytest.raises(Killed):
            run(config)
    run(config, resume=True)
    for name in ("policy/theta.safetensors", "figures.json", "chosen/rounds-0002.json"):
        assert (config.output / name).read_bytes() == (whole / name).read_bytes(), name


def test_full_scale_classes_run_from_folders(tmp_path: Path) -> None:
    tokenizer = tiny.train_tokenizer((), vocab_size=264)
    tiny_families.create_llama(tmp_path / "model", tokenizer)
    rows = [{"prompt": f"Say {n}.", "answer": str(n)} for n in range(8)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    full = Config(
        model=str(tmp_path / "model"),
        data=tmp_path / "data.jsonl",
        demonstrations=tmp_path / "data.jsonl",
        output=tmp_path / "run",
    )
    small = replace(
        full,
        num_rounds=2,
        prompts_per_round=4,
        sampling=replace(full.sampling, max_completion_length=4, num_generations=3),
        sft=replace(full.sft, epochs=1, batch_size=4),
        dpo=replace(full.dpo, batch_size=2),
        hardware=replace(full.hardware, device="cpu"),
    )
    figures = {figure.name for figure in read(run(small))}
    assert "consistency_2" in figures and "gold_0" not in figures
    assert (tmp_path / "run" / "policy" / "config.json").exists()


def test_a_run_without_data_is_refused_and_memory_can_be_planned(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no value"):
        run(Config(output=tmp_path / "run"))
    plan = Planner("cream", None, ("model=sums", "hardware.device=cpu"), gpu=80.0).plan()
    assert [stage.name for stage in plan.stages] == ["sft", "rounds"]
