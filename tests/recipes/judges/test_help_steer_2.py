"""HelpSteer2-Preference: its losses by hand, what a row must say, and the whole run small."""

import math
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from stablereward.config import dump, resolve
from stablereward.data.preferences import write_preferences
from stablereward.errors import ConfigError, DataError
from stablereward.judges.judge import Judge
from stablereward.recipes import scalar
from stablereward.recipes.judges.help_steer_2 import (
    EXPERIMENT,
    Config,
    comparison,
    margin,
    run,
    scaled,
    tiny,
    works,
)
from stablereward.recipes.ratings import annotated, dealt, strength
from stablereward.recipes.sources import Data
from stablereward.recipes.stages import Hardware
from stablereward.runs.figures import read
from stablereward.training.pairwise import Compared, RewardConfig, pair_loss, plain
from stablereward.types import Preference, Reward
from stablereward.worlds.rated import ATTRIBUTES, Rated, pairs
from tests.policies.families import make

SMALL = replace(
    tiny(),
    world=Rated(num_train=40, num_held_out=60),
    rating=replace(tiny().rating, epochs=1.0, batch_size=10),
    reward=replace(tiny().reward, epochs=1.0, batch_size=10),
    hardware=Hardware(save_every=1),
)
ROW = Preference(
    question="Why?", responses=("Because.", "No idea."), ranks=(0, 1), id="7",
    extra={"strength": "2", "helpfulness": "4 1", "verbosity": "1 0"},
)  # fmt: skip
HEAD = "reward_head.safetensors"


def compared(m: float) -> Compared:
    return Compared(torch.tensor([2.0]), torch.tensor([1.0]), torch.tensor([m]))


def test_the_full_scale_is_the_papers() -> None:
    config = Config()
    assert config.attributes == ("helpfulness",) and config.loss == "scaled" and config.start == "ratings"
    assert (config.head.layers, config.head.pooling) == (1, "end") and config.alpha > 0
    assert [work.name for work in works(config)] == ["rating", "preference"]
    assert [work.name for work in works(replace(config, start="new"))] == ["preference"]
    with pytest.raises(ConfigError, match="attributes"):
        Config(attributes=())


def test_where_all_strengths_are_1_scaled_is_plain_and_margin_is_not() -> None:
    one = compared(1.0)
    assert scaled(1.0, one).item() == plain(one).item() == pytest.approx(math.log1p(math.exp(-1)))
    assert margin(one).item() == pytest.approx(math.log(2))


def test_the_losses_at_strength_3() -> None:
    three = compared(3.0)
    assert scaled(1.0, three).item() == pytest.approx(3 * math.log1p(math.exp(-1)))
    assert margin(three).item() == pytest.approx(math.log1p(math.exp(2)))


def test_law_scaled_weighs_all_pairs_together_as_much_as_plain() -> None:
    """Else strengths would be a learning rate too: at equal leads the mean loss is the plain one's."""
    shown = pairs(Rated(num_train=200), 0)
    leads_C = torch.tensor([strength(pair) for pair in shown])
    same = Compared(torch.full((200,), 0.3), torch.zeros(200), leads_C)
    assert len(set(leads_C.tolist())) == 3
    assert comparison("scaled", shown)(same).mean().item() == pytest.approx(plain(same).mean().item())


def test_dealt_strengths_are_the_same_ones_and_no_preference_is_turned() -> None:
    shown = pairs(Rated(num_train=200), 0)
    other = dealt(shown, 3)
    assert sorted(map(strength, other)) == sorted(map(strength, shown))
    assert list(map(strength, other)) != list(map(strength, shown))
    for pair, mixed in zip(shown, other, strict=True):
        for before, after in zip(pair.rewards, mixed.rewards, strict=True):
            assert isinstance(before, Reward) and isinstance(after, Reward)
            assert (before.value > 0) == (after.value > 0) and before.parts == after.parts


def test_a_row_says_strength_and_ratings() -> None:
    first, second = annotated(ROW.swapped(), ()).rewards
    assert isinstance(first, Reward) and isinstance(second, Reward)
    assert (first.value, second.value) == (0.0, 2.0)
    first, second = annotated(ROW, ("verbosity", "helpfulness")).rewards
    assert isinstance(first, Reward) and isinstance(second, Reward)
    assert first.parts == {"verbosity": 1.0, "helpfulness": 4.0} and first.value == 2.0
    assert second.parts == {"verbosity": 0.0, "helpfulness": 1.0} and second.value == 0.0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ranks": (0, 0)}, "no better one"),
        ({"ranks": None}, "no better one"),
        ({"extra": {"helpfulness": "4 1"}}, "extra.strength is not a number"),
        ({"extra": {**ROW.extra, "strength": "0"}}, "strength is 0"),
        ({"extra": {**ROW.extra, "strength": "nan"}}, "extra.strength is not a number"),
        ({"extra": {**ROW.extra, "helpfulness": "4"}}, "extra.helpfulness is not 2 numbers"),
        ({"extra": {**ROW.extra, "helpfulness": "good bad"}}, "extra.helpfulness is not 2 numbers"),
        ({"extra": {**ROW.extra, "helpfulness": "inf 1"}}, "extra.helpfulness is not 2 numbers"),
    ],
)
def test_a_row_without_what_is_needed_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        annotated(replace(ROW, **changes), ("helpfulness",))  # type: ignore[arg-type]
    assert "7" in str(caught.value) and "leave it out" in str(caught.value)


def test_the_judge_is_as_far_beyond_the_preferences_as_alpha_says(tmp_path: Path) -> None:
    folder = run(replace(SMALL, output=tmp_path / "run", alpha=2.0))
    rated, preferred, judge = (load_file(folder / n / HEAD) for n in ("rated", "preferred", "judge"))
    assert not torch.equal(rated["0.weight"], preferred["0.weight"])
    for name, weight in judge.items():
        assert torch.allclose(weight, preferred[name] + 2 * (preferred[name] - rated[name]), atol=1e-6)
    assert {figure.name for figure in read(folder)} == set(EXPERIMENT.figures)


def test_a_new_head_knows_no_ratings_and_goes_nowhere_beyond(tmp_path: Path) -> None:
    folder = run(replace(SMALL, output=tmp_path / "run", start="new"))
    assert not (folder / "rated").exists()
    preferred, judge = (load_file(folder / name / HEAD) for name in ("preferred", "judge"))
    assert all(torch.equal(judge[name], weight) for name, weight in preferred.items())


def test_a_run_that_was_cut_off_goes_on_to_the_same_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(replace(SMALL, output=tmp_path / "whole"))
    config, calls = replace(SMALL, output=tmp_path / "cut"), count()

    def cut_off(*given: Any, **named: Any) -> Any:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return pair_loss(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(scalar, "pair_loss", cut_off)
        with pytest.raises(KeyboardInterrupt):
            run(config)
    assert (config.output / "rated").exists() and not (config.output / "preferred").exists()
    cut = run(config, resume=True)
    assert (cut / "judge" / HEAD).read_bytes() == (whole / "judge" / HEAD).read_bytes()
    assert (cut / "figures.json").read_bytes() == (whole / "figures.json").read_bytes()


def test_the_run_on_dialogues_ends_with_a_judge(tmp_path: Path) -> None:
    make("llama", tmp_path / "model")
    write_preferences(
        tmp_path / "rows.jsonl", [replace(ROW, id=str(n), question=f"Why {n}?") for n in range(8)]
    )
    stage = RewardConfig(batch_size=4)
    config = Config(
        model=str(tmp_path / "model"),
        data=Data(train=tmp_path / "rows.jsonl"),
        attributes=("helpfulness", "verbosity"),
        rating=stage,
        reward=stage,
        hardware=Hardware(device="cpu"),
        output=tmp_path / "run",
    )
    folder = run(config)
    assert {figure.name for figure in read(folder)} == set(EXPERIMENT.figures)
    assert (folder / "report.html").is_file()
    assert Judge.load(folder / "judge", device="cpu")


def test_every_arm_is_a_change_of_the_tiny_settings() -> None:
    for arm in EXPERIMENT.arms.values():
        made = resolve(Config, None, arm.changes, base=tiny())
        assert resolve(Config, None, (), base=made) == made and dump(made)
    assert resolve(Config, None, EXPERIMENT.arms["five"].changes, base=tiny()).attributes == ATTRIBUTES
    figures = {arm: dict.fromkeys(EXPERIMENT.figures, 0.5) for arm in EXPERIMENT.arms}
    assert all(math.isfinite(claim.measure(figures)) for claim in EXPERIMENT.claims)
