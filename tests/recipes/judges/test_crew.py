"""CRew: what selects, what is paired, an exact resume, and its full-scale classes at a tiny size."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stablereward.cli.plan import Planner
from stablereward.data.preferences import write_preferences
from stablereward.errors import ConfigError, DataError
from stablereward.policies import tiny, tiny_families
from stablereward.recipes.judges import crew
from stablereward.recipes.judges.crew import Config, run
from stablereward.recipes.problems import questions, verifier
from stablereward.recipes.solving import to_select_from
from stablereward.runs.figures import read
from stablereward.training import learner
from stablereward.types import Preference

TINY = crew.tiny()
SMALL = replace(
    TINY,
    prompts_per_iteration=8,
    num_held_out=8,
    num_votes=2,
    pairs=replace(TINY.pairs, num=2),
    sampling=replace(TINY.sampling, num_generations=8),
    dpo=replace(TINY.dpo, batch_size=4),
    hardware=replace(TINY.hardware, save_every=3),
)
"""Two iterations of four updates; the second checkpoint lies in the middle of the second."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(replace(SMALL, output=tmp_path_factory.mktemp("crew") / "whole"))


def test_pairs_are_right_over_wrong_and_furthest_apart(whole: Path) -> None:
    figures = {figure.name for figure in read(whole)}
    assert {"selection", "start_selection_shuffled", "weighted_vote", "best_of_n", "weights"} <= figures
    kept = json.loads((whole / "chosen" / "rl-0001.json").read_text())
    gaps: dict[int, list[float]] = {}
    for pair in kept["chosen"]:
        better, worse = pair["completions"]
        assert better["parts"]["right"] == 1 and worse["parts"]["right"] == 0
        assert better["parts"]["reference"] < 0 and 0 < better["reward"] <= 1
        gaps.setdefault(pair["prompt"], []).append(better["reward"] - worse["reward"])
    assert all(own == sorted(own, reverse=True) and len(own) <= 2 for own in gaps.values())


def test_killed_within_an_iteration_and_resumed_is_the_same_to_the_byte(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    log = learner.RunFolder.log

    def dying(self, stage, update, *given, **named):  # type: ignore[no-untyped-def]
        if update > 7:
            raise Killed
        log(self, stage, update, *given, **named)

    config = replace(SMALL, output=tmp_path / "broken")
    with monkeypatch.context() as patched:
        patched.setattr(learner.RunFolder, "log", dying)
        with pytest.raises(Killed):
            run(config)
    run(config, resume=True)
    for name in ("policy/model.safetensors", "figures.json", "chosen/rl-0002.json"):
        assert (config.output / name).read_bytes() == (whole / name).read_bytes(), name


def test_full_scale_classes_run_from_folders(tmp_path: Path) -> None:
    tokenizer = tiny.train_tokenizer((), vocab_size=264, phrases=["\\boxed{", "}"])
    tiny_families.create_llama(tmp_path / "model", tokenizer)
    rows = [{"question": f"Say {n}.", "answer": str(n)} for n in range(10)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shown = Preference(question="Say 1.", responses=(r"\boxed{1}", r"\boxed{2}"), ranks=(0, 1))
    write_preferences(tmp_path / "solutions.jsonl", [shown])
    config = Config(
        model=str(tmp_path / "model"),
        data=tmp_path / "data.jsonl",
        solutions=tmp_path / "solutions.jsonl",
        output=tmp_path / "run",
    )
    assert to_select_from(config)[0].responses == shown.responses
    right = verifier(config, questions(config))
    asked = questions(config)[0]
    assert right(asked.prompt, f"\\boxed{{{asked.answer}}}") and not right(asked.prompt, "\\boxed{x}")
    (tmp_path / "bare.jsonl").write_text('{"question": "Say 1."}\n{"question": "Say 2."}\n')
    bare = replace(config, data=tmp_path / "bare.jsonl")
    with pytest.raises(DataError, match="have no answer"):
        verifier(bare, questions(bare))


def test_a_run_without_data_is_refused_and_memory_can_be_planned(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="data has no value"):
        run(Config(output=tmp_path / "run"))
    sets = ("model=sums", "sums=true", "hardware.device=cpu")
    plan = Planner("crew", None, sets, gpu=80.0).plan()
    assert [stage.name for stage in plan.stages] == ["rl", "measurement"]
    assert 0 < plan.worst.peak < 80 * 2**30
