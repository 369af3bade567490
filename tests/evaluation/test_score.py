"""Scoring a file under a rule and a map."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stablereward.errors import ConfigError, DataError
from stablereward.evaluation.benchmarks.vl_rewardbench import load
from stablereward.evaluation.evaluate import evaluate
from stablereward.evaluation.records import pair
from stablereward.evaluation.rows import append
from stablereward.evaluation.score import score_file, score_folder
from stablereward.judges.controls import always_first
from stablereward.judges.voting import vote
from stablereward.types import Judgement, Row

IDS = ("hallucination_pair-1", "RLAIF-V-1", "RLHF-V-1", "wildvision-battle-1", "mathverse_1", "mmmu_pro_1")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    append([pair([0, 1], id=name, best=0) for name in IDS], path)
    return path


def test_the_table_says_which_rule_and_map_gave_the_numbers(rows: Path) -> None:
    table = score_file(rows, "VL-RewardBench", "stablereward", "r1_reward")
    assert (table.rule, table.category_map, table.source) == ("stablereward", "r1_reward", str(rows))
    assert table.about_rule and table.about_map
    assert table.notes == (
        "not the whole benchmark as known here: 3 of 484 general; 1 of 448 hallucination; 2 of 318 reasoning",
    )


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("official", (1, 3, 2)), ("r1_reward", (3, 1, 2)), ("unified_reward", (2, 2, 2))],
)
def test_each_map_sorts_in_its_own_way(rows: Path, name: str, sizes: tuple[int, ...]) -> None:
    table = score_file(rows, "vl_rewardbench", "stablereward", name)
    found = {figure.name: figure.n for figure in table.figures}
    # Two votes a pair.
    assert tuple((found[c] or 0) // 2 for c in ("general", "hallucination", "reasoning")) == sizes


def test_without_names_the_authors_rule_and_map_count(rows: Path) -> None:
    table = score_file(rows, "vlrewardbench")
    assert (table.rule, table.category_map) == ("official", "official")


def test_unknown_names_are_refused_with_the_nearest(rows: Path) -> None:
    with pytest.raises(ConfigError, match="no benchmark 'VL-RewardBnch'; did you mean vl_rewardbench"):
        score_file(rows, "VL-RewardBnch")
    with pytest.raises(ConfigError, match=r"no benchmark 'q' \("):
        score_file(rows, "q")
    with pytest.raises(ConfigError, match="no rule 'oficial'; did you mean official"):
        score_file(rows, "vl_rewardbench", "oficial")
    with pytest.raises(ConfigError, match="no category map 'r1'; did you mean r1_reward"):
        score_file(rows, "vl_rewardbench", map="r1")


def test_a_file_of_another_form_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"something": 1}\n')
    with pytest.raises(DataError, match=r"x.jsonl: no known form has the fields something"):
        score_file(path, "vl_rewardbench")


def test_rows_without_votes_or_of_other_sizes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append([Row(id="1", category="", best=0, votes=())], path)
    with pytest.raises(DataError, match=r"rows.jsonl:1: a row without votes"):
        score_file(path, "vl_rewardbench")
    path.unlink()
    four = vote([Judgement(choice=3, order=(0, 1, 2, 3))], 4)
    append([Row(id="1", category="", best=3, votes=(four,))], path)
    with pytest.raises(DataError, match="rows that are not of 2 responses"):
        score_file(path, "mj_bench")


def test_always_first_on_the_real_rows(shared: Callable[[str], Path], tmp_path: Path) -> None:
    """Under R1-Reward's rule the judge that looks at nothing is perfect; with both orders it is a coin."""
    preferences = list(load(shared("r1_reward/VL-RewardBench/data.jsonl"), require_images=False))
    path = tmp_path / "rows.jsonl"
    append(evaluate(always_first, preferences), path)
    chosen_first = score_file(path, "vl_rewardbench", "r1_reward")
    both = score_file(path, "vl_rewardbench", "stablereward")
    assert not both.notes
    assert [chosen_first.value(name) for name in ("overall", "macro")] == [100.0, 100.0]
    assert [both.value(name) for name in ("overall", "macro")] == [50.0, 50.0]


def test_a_folder_is_a_table_a_file_and_the_rest_is_named(tmp_path: Path) -> None:
    judged = {"pair_id": "a", "source": "livecodebench", "label": "A>B", "judgments": [{"decision": "A>B"}]}
    (tmp_path / "outputs").mkdir()
    for name in ("a", "b"):
        (tmp_path / f"outputs/{name}.jsonl").write_text(json.dumps(judged) + "\n")
    (tmp_path / "pairs.jsonl").write_text('{"pair_id": "a"}\n')
    (tmp_path / "README.md").write_text("words")
    tables, left_out = score_folder(tmp_path, "judgebench")
    assert [Path(table.source).name for table in tables] == ["a.jsonl", "b.jsonl"]
    assert [table.value("overall") for table in tables] == [100.0, 100.0]
    assert len(left_out) == 1 and "pairs.jsonl: no known form" in left_out[0]
    with pytest.raises(ConfigError, match="no rule"):
        score_folder(tmp_path, "judgebench", "half")
    only = tmp_path / "only"
    only.mkdir()
    (tmp_path / "pairs.jsonl").rename(only / "pairs.jsonl")
    with pytest.raises(
        DataError, match=r"none of its 1 files can be scored, of which the first says: .*no known"
    ):
        score_folder(only, "judgebench")
