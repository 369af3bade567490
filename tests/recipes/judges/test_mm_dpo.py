"""MM-DPO: β of each form by hand, the pairs, an exact resume, and ranked texts scored by a reward model."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForSequenceClassification

from stablereward.cli.plan import Planner
from stablereward.data.preferences import write_preferences
from stablereward.errors import ConfigError
from stablereward.policies import tiny, tiny_families
from stablereward.policies.scalar import load_scorer
from stablereward.policies.token import TokenPolicy
from stablereward.recipes.judges import mm_dpo
from stablereward.recipes.judges.mm_dpo import Config, beta_of, run
from stablereward.recipes.offline import preferences, text_pairs
from stablereward.runs.figures import read
from stablereward.training import learner
from stablereward.training.direct import Held, lead
from stablereward.types import Preference

TINY = mm_dpo.tiny()
assert TINY.ranked is not None
SMALL = replace(
    TINY,
    ranked=replace(TINY.ranked, kl=0.02),
    dpo=replace(TINY.dpo, epochs=0.5),
    hardware=replace(TINY.hardware, save_every=2),
)


@pytest.mark.parametrize(
    ("scale", "wanted"),
    [
        ("exponential", [0.1, 0.1, 0.1197]),
        ("linear", [0.1, 0.1, 0.15]),
        ("fixed", 0.1),
        ("matched", 0.1197 / 3 + 0.2 / 3),
    ],
)
def test_beta_by_hand(scale: str, wanted: object) -> None:
    leads = [-1.0, 0.0, 1.0]
    held = Held(torch.zeros(3), torch.zeros(3), torch.tensor(leads))
    found = beta_of(replace(TINY, scale=scale), leads)(held)  # type: ignore[arg-type]
    told = found.tolist() if isinstance(found, torch.Tensor) else found
    assert told == pytest.approx(wanted, abs=5e-5)


def test_law_the_bound_of_beta() -> None:
    held = Held(torch.zeros(1), torch.zeros(1), torch.tensor([1e9]))
    assert float(beta_of(TINY, [1.0])(held)) == pytest.approx(0.15)
    assert float(beta_of(replace(TINY, weight=1.0), [1.0])(held)) == pytest.approx(0.2)


def test_killed_and_resumed_is_the_same_to_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    whole = run(replace(SMALL, output=tmp_path / "whole"))
    assert {"gold", "kl", "gold_at_kl"} <= {figure.name for figure in read(whole)}
    log = learner.RunFolder.log

    def dying(self, stage, update, *given, **named):  # type: ignore[no-untyped-def]
        if update > 3:
            raise Killed
        log(self, stage, update, *given, **named)

    config = replace(SMALL, output=tmp_path / "broken")
    with monkeypatch.context() as patched:
        patched.setattr(learner.RunFolder, "log", dying)
        with pytest.raises(Killed):
            run(config)
    run(config, resume=True)
    for name in ("policy/theta.safetensors", "figures.json"):
        assert (config.output / name).read_bytes() == (whole / name).read_bytes(), name


def test_ranked_texts_are_scored_and_learnt(tmp_path: Path) -> None:
    tokenizer = tiny.train_tokenizer((), vocab_size=264)
    tiny_families.create_llama(tmp_path / "model", tokenizer)
    settings = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=2, num_labels=1, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    LlamaForSequenceClassification(settings).save_pretrained(tmp_path / "scorer")
    tokenizer.save_pretrained(tmp_path / "scorer")
    told = [Preference(question=f"Say {n}.", responses=("a", "b", "c"), ranks=(1, 0, 1)) for n in range(4)]
    write_preferences(tmp_path / "data.jsonl", told)
    config = Config(
        model=str(tmp_path / "model"),
        reward_model=str(tmp_path / "scorer"),
        data=tmp_path / "data.jsonl",
        output=tmp_path / "run",
        dpo=replace(Config().dpo, batch_size=4),
        hardware=replace(Config().hardware, device="cpu"),
    )
    policy, scorer = (
        TokenPolicy.load(config.model, device="cpu"),
        load_scorer(config.reward_model, device="cpu"),
    )
    pairs = text_pairs(policy, scorer, preferences(config))
    assert ["".join(t.text for t in pair.trajectories) for pair in pairs[:2]] == ["ba", "bc"]
    assert len(pairs) == 8 and len({lead(pair) for pair in pairs}) > 1
    folder = run(config)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["update"] for row in rows if "loss" in row] == [1, 2]
    assert (folder / "policy" / "config.json").exists()


def test_a_run_without_data_is_refused_and_memory_can_be_planned(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="data has no value"):
        run(Config(output=tmp_path / "run"))
    plan = Planner("mm_dpo", None, ("model=sums", "hardware.device=cpu"), gpu=80.0).plan()
    assert [stage.name for stage in plan.stages] == ["dpo"]
