"""VL-RewardBench: its three maps, its rules, its judgement files."""

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from stablereward.evaluation.benchmarks.vl_rewardbench import BENCHMARK, load, parse, read
from stablereward.evaluation.records import UNREAD, pair
from stablereward.evaluation.rows import append
from stablereward.judges.voting import vote
from stablereward.types import Failure, Judgement, Row

FILES = ("r1_reward/VL-RewardBench/data.jsonl", "unified_reward/VL-RewardBench/data.json")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    ("name", "sizes"),
    [("official", (183, 749, 318)), ("r1_reward", (484, 448, 318)), ("unified_reward", (631, 301, 318))],
)
def test_the_three_maps_on_the_real_ids(
    file: str, name: str, sizes: tuple[int, ...], shared: Callable[[str], Path]
) -> None:
    used = BENCHMARK.maps[name]
    found = Counter(used.category(p.id, p.category) for p in load(shared(file), require_images=False))
    assert tuple(found[c] for c in ("general", "hallucination", "reasoning")) == sizes
    assert found == used.sizes


def test_longer_wins_by_category(shared: Callable[[str], Path], tmp_path: Path) -> None:
    """Lengths as rewards; equal ones are wrong."""
    path = tmp_path / "rewards.jsonl"
    rows = [
        {"id": p.id, "rewards": [len(text) for text in p.responses]}
        for p in load(shared(FILES[0]), require_images=False)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = BENCHMARK.score(path, rule="vlmevalkit")
    found = [f"{table.value(name):.1f}" for name in ("overall", "general", "hallucination", "reasoning")]
    assert found == ["42.6", "37.2", "40.3", "51.3"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Overall Judgment: Answer 1 is better.", 1),
        ("**Overall Judgment**\n\nAnswer 2 is slightly better.", 2),
        ("Therefore, Answer 1 is the better one", 1),
        ("Therefore answer 1 is better. No: Answer 2 is better.", 2),
        ("Answer 1 is better.", None),
        ("Answer 1 is better. Therefore I stop.", None),
        ("Overall Judgment: both are fine.", None),
        ("", None),
    ],
)
def test_what_the_authors_read_in_a_text(text: str, number: int | None) -> None:
    assert parse(text) == number


def judgement(text: str, swapped: int, **changes: object) -> dict[str, object]:
    return {
        "id": "wildvision-battle-1",
        "query": "q",
        "response": ["good", "bad"],
        "ranking": [0, 1],
        "meta": {"random_number": swapped, "filter_choice": text},
        **changes,
    }


def test_the_authors_judgements_of_one_item_become_one_vote(tmp_path: Path) -> None:
    path = tmp_path / "judgements.jsonl"
    lines = [
        judgement("Therefore Answer 1 is better", 0),
        judgement("Therefore Answer 2 is better", 1),
        judgement("Therefore Answer 1 is better", 1),
        judgement("Therefore Answer 1 is better", 0, response=["other", "pair"], ranking=[1, 0]),
        judgement("No idea", 0, id="mathverse_1"),
        judgement("Therefore Answer 3 is better", 0, id="mathverse_2"),
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows, _ = read(path)
    assert [(row.id, row.best) for row in rows] == [
        ("wildvision-battle-1", 0),
        ("wildvision-battle-1", 1),
        ("mathverse_1", 0),
        ("mathverse_2", 0),
    ]
    assert [j.choice for j in rows[0].votes[0].judgements] == [0, 0, 1]
    assert [row.votes[0].choice for row in rows] == [0, 0, None, None]
    table = BENCHMARK.score(path)
    assert (table.value("general"), table.value("reasoning"), table.value("overall")) == (50.0, None, 50.0)


def test_rewards_of_the_chosen_and_the_rejected(tmp_path: Path) -> None:
    path = tmp_path / "rewards.jsonl"
    rewards = {"RLHF-V-1": [1, 0], "mmmu_1": [0, 1], "x": [1, 1]}
    path.write_text("".join(json.dumps({"id": i, "rewards": r}) + "\n" for i, r in rewards.items()))
    table = BENCHMARK.score(path, rule="r1_reward", map="r1_reward")
    assert table.value("overall") == pytest.approx(100 / 3)
    assert table.value("general") == 50.0
    assert "names no order" in table.notes[0]


def opinions(*choices: int | None) -> Row:
    heard = [Failure(reason="no_answer") if c is None else Judgement(choice=c) for c in choices]
    return Row(id="x", category="", best=0, votes=(vote(heard, 2),))


def test_how_the_rules_treat_what_is_unread_and_what_is_split(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append([opinions(0, 0, 1), opinions(0, 0, None), opinions(0, 1), opinions(1, 1, 0)], path)
    values = {name: BENCHMARK.score(path, rule=name).value("overall") for name in BENCHMARK.rules}
    # Majorities: right, right with one unread, split, wrong.
    assert values == {
        "official": 50.0,
        "stablereward": 50.0,
        "vlmevalkit": 50.0,
        "lmms_eval": 62.5,
        "r1_reward": 50.0,
    }
    append([pair([UNREAD], id="y", best=0)], path)
    assert BENCHMARK.score(path, rule="official").value("overall") == 50.0
    assert BENCHMARK.score(path, rule="vlmevalkit").value("overall") == 40.0
    assert BENCHMARK.score(path, rule="lmms_eval").value("overall") == 60.0


@pytest.mark.parametrize("piece", ["Therefore", "Answer ", "Answer 1 is ", "Answer 1 is better", " ", "1"])
def test_ten_megabytes_of_hostile_text_take_seconds(piece: str) -> None:
    started = time.process_time()
    parse("Therefore Answer 1" + piece * (10_000_000 // len(piece)))
    assert time.process_time() - started < 30
