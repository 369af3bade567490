"""RAFT: what is imitated, the order-only law, an exact resume, and its full-scale classes at a tiny size."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import LlamaConfig, LlamaForSequenceClassification

from stablereward.cli.plan import Planner
from stablereward.errors import ConfigError
from stablereward.policies import tiny, tiny_families
from stablereward.recipes.tokens import raft
from stablereward.recipes.tokens.raft import Config, chooser, run
from stablereward.runs.figures import read
from stablereward.training import learner
from stablereward.types import Completion, Group, Prompt, Reward
from stablereward.worlds.captions.grammar import worth

SMALL = replace(
    raft.tiny(),
    iterations=2,
    prompts_per_iteration=8,
    num_held_out=8,
    imitation=replace(raft.tiny().imitation, batch_size=4),
    hardware=replace(raft.tiny().hardware, save_every=3),
)
"""Two iterations of four updates; the second checkpoint lies in the middle of the second."""
FILES = ("metrics.jsonl", "figures.json", "policy/model.safetensors", "chosen/rl-0002.json")


def made(output: Path, **changes: object) -> Path:
    return run(replace(SMALL, output=output, **changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("raft") / "whole")


def test_a_run_leaves_what_there_is_to_see(whole: Path) -> None:
    figures = {figure.name: figure.value for figure in read(whole)}
    assert {"reward", "start_reward", "entropy", "well_formed", "demand_gap", "weights"} <= set(figures)
    rows = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
    assert [row["update"] for row in rows] == list(range(1, 9))
    assert rows[0]["reward/chosen"] > rows[0]["reward/mean"] == rows[3]["reward/mean"]
    assert rows[4]["reward/mean"] != rows[3]["reward/mean"]
    shown = [json.loads(line) for line in (whole / "rollouts" / "rl-000005.jsonl").read_text().splitlines()]
    assert len(shown) == 4 and all(sum(c["advantage"] for c in row["completions"]) == 1 for row in shown)
    assert (whole / "report.html").exists() and (whole / "machine.json").exists()


def test_what_is_learnt_are_the_tokens_that_were_sampled(whole: Path) -> None:
    chosen = json.loads((whole / "chosen" / "rl-0001.json").read_text())["chosen"]
    prompts = raft.prompts(SMALL)
    assert len(chosen) == 8
    for row in chosen:
        [one] = row["completions"]
        assert one["token_ids"] and one["reward"] == worth(prompts[row["prompt"]], one["text"])


@pytest.mark.parametrize("killed_after", [2, 4, 7])
def test_killed_and_resumed_is_the_same_to_the_byte(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_after: int
) -> None:
    """Whether the newest checkpoint lies in the middle of an iteration or there is none."""

    class Killed(BaseException):
        pass

    log = learner.RunFolder.log

    def dying(self, stage, update, *given, **named):  # type: ignore[no-untyped-def]
        if update > killed_after:
            raise Killed
        log(self, stage, update, *given, **named)

    config = replace(SMALL, output=tmp_path / "broken")
    with monkeypatch.context() as patched:
        patched.setattr(learner.RunFolder, "log", dying)
        with pytest.raises(Killed):
            run(config)
    run(config, resume=True)
    for name in FILES:
        assert (config.output / name).read_bytes() == (whole / name).read_bytes(), name


def test_the_order_of_rewards_is_all_that_matters(whole: Path, tmp_path: Path) -> None:
    made(tmp_path / "exp", transform="exp")
    for name in ("policy/model.safetensors",):
        assert (tmp_path / "exp" / name).read_bytes() == (whole / name).read_bytes()
    plain = made(tmp_path / "reinforce", method="reinforce")
    changed = made(tmp_path / "reinforce exp", method="reinforce", transform="exp")
    assert (plain / "policy/model.safetensors").read_bytes() != (
        changed / "policy/model.safetensors"
    ).read_bytes()


def test_rankings_by_hand() -> None:
    def group(name: str, *rewards: float) -> Group[Prompt, Completion]:
        return Group(
            prompt=Prompt.user(text=name),
            trajectories=tuple(Completion(text=f"{name}{k}") for k in range(len(rewards))),
            rewards=tuple(Reward(value=r) for r in rewards),
        )

    def texts(config: Config, groups: list[Group[Prompt, Completion]]) -> list[str]:
        return [t.text for g in chooser(config)(groups, 0) for t in g.trajectories]

    groups = [group("easy", 5, 4, 3, 4), group("hard", 0, 1, 0, 0)]
    small = replace(SMALL, sampling=replace(SMALL.sampling, num_generations=4))
    assert texts(small, groups) == ["easy0", "hard1"]
    # A quarter of the pool of eight are two: both of the easy prompt.
    assert texts(replace(small, method="global"), groups) == ["easy0", "easy1"]
    assert len(texts(replace(small, method="random"), groups)) == 2


def test_full_scale_classes_run_from_folders(tmp_path: Path) -> None:
    """The default settings, at a tiny size: a Llama, a reward model with a head, a file of prompts."""
    tokenizer = tiny.train_tokenizer((), vocab_size=264)
    tiny_families.create_llama(tmp_path / "model", tokenizer)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=2, num_labels=1, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    LlamaForSequenceClassification(config).save_pretrained(tmp_path / "scorer")
    tokenizer.save_pretrained(tmp_path / "scorer")
    rows = [{"prompt": f"Say {n}."} for n in range(10)]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    full = Config(
        model=str(tmp_path / "model"),
        reward_model=str(tmp_path / "scorer"),
        data=tmp_path / "prompts.jsonl",
        output=tmp_path / "run",
    )
    small = replace(
        full,
        iterations=1,
        prompts_per_iteration=4,
        sampling=replace(full.sampling, num_generations=2, max_completion_length=4),
        imitation=replace(full.imitation, epochs=1, batch_size=2),
        hardware=replace(full.hardware, device="cpu"),
    )
    figures = {figure.name for figure in read(run(small))}
    assert "reward" in figures and "well_formed" not in figures


def test_a_run_without_prompts_is_refused_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="data has no value"):
        run(Config(output=tmp_path / "run"))
    with pytest.raises(ConfigError, match="iterations must be at least 1"):
        Config(iterations=0)


def test_memory_can_be_planned() -> None:
    sets = ("model=captions", "captions=true", "hardware.device=cpu")
    plan = Planner("raft", None, sets, gpu=80.0).plan()
    assert [stage.name for stage in plan.stages] == ["rl", "measurement"]
    assert 0 < plan.worst.peak < 80 * 2**30
