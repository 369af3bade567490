"""DPA: directions by hand, what each method chooses, an exact resume, and its full-scale classes, tiny."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import LlamaConfig, LlamaForSequenceClassification

from stablereward.cli.plan import Planner
from stablereward.errors import ConfigError
from stablereward.policies import tiny, tiny_families
from stablereward.recipes.judges import dpa
from stablereward.recipes.judges.dpa import Config, chosen, run
from stablereward.recipes.steered import directed, spread, weighed
from stablereward.runs.figures import read
from stablereward.training import learner
from stablereward.types import Group, Prompt, Reward
from stablereward.worlds.menu import Pick
from stablereward.worlds.wishes import HELPFULNESS, VERBOSITY, Wish

TINY = dpa.tiny()
SMALL = replace(
    TINY,
    num_rounds=2,
    prompts_per_round=20,
    imitation=replace(TINY.imitation, epochs=2.0, batch_size=10),
    hardware=replace(TINY.hardware, save_every=3),
)


def rated(degrees: float) -> Group[Wish, Pick]:
    """The first answer is helpful and long, the second short and of less help."""
    told = [{HELPFULNESS: 1.0, VERBOSITY: 1.0}, {HELPFULNESS: 0.5, VERBOSITY: -0.5}]
    group = Group(
        prompt=Wish(0, degrees),
        trajectories=(Pick(answer=0), Pick(answer=1)),
        rewards=tuple(Reward(value=0.0, parts=parts) for parts in told),
    )
    return weighed(group, degrees)


def test_the_prompt_tells_the_direction_in_whole_hundredths() -> None:
    told = directed(Prompt.user("Why?"), -45.0)
    assert "helpfulness*71 + verbosity*-71" in told.messages[0].text
    assert told.messages[0].role == "system" and told.question == told.messages[1].text == "Why?"
    assert spread(10)[0] == -45 and spread(10)[-1] == 0 and spread(4)[1] == -30
    assert spread(1) == [-45.0]


def test_the_same_answers_are_ranked_by_the_direction() -> None:
    values = [[r.value for r in rated(d).rewards if isinstance(r, Reward)] for d in (0.0, -45.0)]
    assert values[0] == pytest.approx([1.0, 0.5]) and values[1] == pytest.approx([0.0, 0.5**0.5])
    best = chosen([rated(0.0), rated(-45.0)], 0, TINY)
    assert [group.trajectories[0].answer for group in best] == [0, 1]


def test_shuffled_deals_the_directions_and_leaves_the_prompts() -> None:
    groups = [rated(0.0)] * 10 + [rated(-45.0)] * 10
    found = chosen(groups, 3, replace(TINY, method="shuffled"))
    assert [group.prompt for group in found] == [group.prompt for group in groups]
    answers = [group.trajectories[0].answer for group in found]
    assert sorted(answers) == [0] * 10 + [1] * 10 != answers


@pytest.mark.parametrize("method", ["conditional", "separate", "once", "any", "shuffled"])
def test_every_method_draws_and_updates_as_much(tmp_path: Path, method: str) -> None:
    config = replace(SMALL, method=method, output=tmp_path / "run")  # type: ignore[arg-type]
    folder = run(config)
    files = sorted((folder / "chosen").iterdir())
    assert len(files) == (1 if method == "once" else 2)
    assert sum(len(json.loads(file.read_text())["chosen"]) for file in files) == 40
    lines = (json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines())
    assert [row["update"] for row in lines if "loss" in row] == list(range(1, 9))
    figures = {figure.name for figure in read(folder)}
    assert {"hypervolume", "hypervolume_start", "span", "unseen"} <= figures
    assert ("hypervolume_1" in figures) == (method != "once")


def test_killed_and_resumed_is_the_same_to_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    whole = run(replace(SMALL, output=tmp_path / "whole"))
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
    for name in ("policy/nets.safetensors", "figures.json", "chosen/rounds-0002.json"):
        assert (config.output / name).read_bytes() == (whole / name).read_bytes(), name


def test_full_scale_classes_run_from_folders(tmp_path: Path) -> None:
    tokenizer = tiny.train_tokenizer((), vocab_size=264)
    tiny_families.create_llama(tmp_path / "model", tokenizer)
    settings = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=2, num_labels=1, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    for name in ("helpfulness", "verbosity"):
        LlamaForSequenceClassification(settings).save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    (tmp_path / "data.jsonl").write_text(
        "".join(json.dumps({"prompt": f"Say {n}."}) + "\n" for n in range(3))
    )
    full = Config(
        model=str(tmp_path / "model"),
        helpfulness=str(tmp_path / "helpfulness"),
        verbosity=str(tmp_path / "verbosity"),
        data=tmp_path / "data.jsonl",
        output=tmp_path / "run",
    )
    small = replace(
        full,
        num_rounds=2,
        prompts_per_round=4,
        num_directions=2,
        sampling=replace(full.sampling, max_completion_length=4, num_generations=3),
        imitation=replace(full.imitation, batch_size=4),
        hardware=replace(full.hardware, device="cpu"),
    )
    assert [figure.name for figure in read(run(small))] == ["chosen"]
    kept = json.loads((tmp_path / "run" / "chosen" / "rounds-0002.json").read_text())
    assert all({HELPFULNESS, VERBOSITY} == set(c["parts"]) for g in kept["chosen"] for c in g["completions"])
    with pytest.raises(ConfigError, match="separate"):
        run(replace(small, method="separate", output=tmp_path / "apart"))


def test_a_run_without_data_is_refused_and_memory_can_be_planned(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no value"):
        run(Config(output=tmp_path / "run"))
    plan = Planner("dpa", None, ("model=sums", "hardware.device=cpu"), gpu=80.0).plan()
    assert [stage.name for stage in plan.stages] == ["rounds"]
