"""GradeSQL: labels from execution, choices by hand, a run, and files of a user's own."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from stablereward.cli.plan import Planner
from stablereward.errors import ConfigError, DataError
from stablereward.recipes.judges import grade_sql
from stablereward.recipes.judges.grade_sql import Config, asked, run, tasks
from stablereward.recipes.verifiers import words
from stablereward.rewards.sql import Database
from stablereward.rewards.sql_tasks import Task, Tried, tried
from stablereward.runs.figures import read
from stablereward.types import Prompt

SHOP = Database.made("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2);")
RIGHT = "SELECT a FROM t"
WRITTEN = (RIGHT, "SELECT a FROM t WHERE a > 1", "SELECT a FROM t WHERE a > 9", "SELECT b FROM t", RIGHT)
TASK = Task("all", "t(a)", SHOP, "SELECT a FROM t ORDER BY a DESC", WRITTEN)


def labelled(shown: list[Tried], config: Config) -> list[tuple[Prompt, str]]:
    return words([one.sides(asked) for one in shown], config)


def test_labels_are_balanced_each_text_once_and_only_of_what_ran() -> None:
    shown = labelled(tried([TASK]), Config(balanced=False))
    assert sorted(word for _, word in shown) == ["No", "No", "Yes"]
    assert not any("SELECT b" in prompt.text for prompt, _ in shown)
    [text] = [prompt.text for prompt, word in shown if word == "Yes"]
    assert text == f"Question: all\nt(a)\nall\nSQL: {RIGHT}\nIs the SQL correct?"
    assert sorted(word for _, word in labelled(tried([TASK]), Config())) == ["No", "Yes"]
    assert labelled(tried([TASK._replace(candidates=(RIGHT,))]), Config()) == []


def test_shuffled_words_are_the_same_ones_of_the_same_candidates() -> None:
    shown = tried([TASK._replace(question=str(n)) for n in range(20)])
    plain, dealt = (labelled(shown, Config(shuffled=dealt)) for dealt in (False, True))
    assert [prompt for prompt, _ in plain] == [prompt for prompt, _ in dealt]
    assert sorted(word for _, word in plain) == sorted(word for _, word in dealt)
    assert [word for _, word in plain] != [word for _, word in dealt]


def test_a_run_and_an_equal_one_of_the_same_seed(tmp_path: Path) -> None:
    tiny = grade_sql.tiny()
    small = replace(tiny, shop=40, training=replace(tiny.training, epochs=1.0))
    once, again = (run(replace(small, output=tmp_path / name)) for name in ("once", "again"))
    assert (once / "figures.json").read_bytes() == (again / "figures.json").read_bytes()
    figures = {figure.name: figure.value for figure in read(once)}
    assert figures["orm_1"] == figures["first_1"] == figures["pass_1"] <= figures["pass_32"]
    assert {"released_32", "majority_16", "told_apart"} <= set(figures)
    assert (once / "cold_start" / "config.json").exists() and (once / "report.html").exists()


def test_files_of_a_users_own(tmp_path: Path) -> None:
    made = sqlite3.connect(tmp_path / "shop.sqlite")
    made.executescript("CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1);")
    made.close()
    row = {"question": "q", "schema": "t(a)", "database": "shop.sqlite", "sql": RIGHT, "candidates": [RIGHT]}
    path = tmp_path / "data.jsonl"
    path.write_text("".join(json.dumps({**row, "question": f"q{n}"}) + "\n" for n in range(20)))
    config = Config(data=path)
    train, apart = tasks(config), tasks(config, held_out=True)
    assert len(train) == 18 and len(apart) == 2
    assert {t.question for t in train}.isdisjoint(t.question for t in apart)
    assert all(any(one.right) for one in tried(train))
    path.write_text(json.dumps({**row, "candidates": "SELECT 1"}) + "\n")
    with pytest.raises(DataError, match="needs the texts question"):
        tasks(config)
    with pytest.raises(ConfigError, match="data has no value"):
        run(Config(output=tmp_path / "run"))


def test_memory_can_be_planned() -> None:
    sets = ("model=sums", "shop=20", "lora=null", "hardware.device=cpu")
    assert [stage.name for stage in Planner("grade_sql", None, sets, gpu=80.0).plan().stages] == [
        "cold_start"
    ]
