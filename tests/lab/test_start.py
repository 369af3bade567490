import json
from dataclasses import replace
from pathlib import Path

import pytest

from stablereward.errors import ConfigError, DataError
from stablereward.lab.regimes import CALM, EASY
from stablereward.lab.start import EASY_TRIES, Start, in_order_of
from stablereward.policies.token import TokenPolicy

from .conftest import RL, regime


def test_what_is_there_is_not_made_again(start, setup):
    made = [path for path in start.run.path.rglob("*.json*") if path.name != "timings.jsonl"]
    before = {path: path.read_bytes() for path in made}
    Start(start.run.path.parent).prepare(setup, [regime()])
    assert before and {path: path.read_bytes() for path in made} == before
    assert start.judge(regime()) == "toy"
    assert (start.measured(regime()).n, len(start.prompts(regime()))) == (4, 8)


def test_another_setup_needs_another_folder(start, setup):
    other = replace(setup, recipe=replace(setup.recipe, seed=1))
    with pytest.raises(ConfigError, match="started with other settings"):
        Start(start.run.path.parent).prepare(other, [regime()])


def test_a_head_start_is_trained_once_for_its_settings(start):
    ahead = replace(EASY, rl=RL, prompts="all", head_start=RL)
    made = start.judge(ahead)
    assert start.judge(ahead) == made and made.name == "judge"
    assert start.judge(replace(ahead, head_start=replace(RL, num_updates=1))) != made
    assert TokenPolicy.load(made, device="cpu").max_context == 2048


def test_easy_prompts_are_those_that_every_sample_gets_right(start):
    easy = start.prompts(replace(CALM, rl=RL, prompts="easy"))
    rows = [json.loads(line) for line in (start.run.path / "easy-cold-start.jsonl").read_text().splitlines()]
    assert len(rows) == 8 and all(0 <= EASY_TRIES * row["right"] <= EASY_TRIES for row in rows)
    assert [one.id for one in easy] == [row["id"] for row in rows if row["right"] == 1.0]
    with pytest.raises(DataError, match="fewer than a batch of 9; give the regime calm a longer head start"):
        start.prompts(replace(CALM, rl=replace(RL, prompts_per_batch=9), prompts="easy"))


def test_a_seed_is_an_order(start: Start, tmp_path: Path):
    all_prompts = start.prompts(regime())
    orders = [[one.id for one in in_order_of(seed, all_prompts)] for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2]) == sorted(one.id for one in all_prompts)
