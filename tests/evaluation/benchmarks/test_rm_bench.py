"""RM-Bench: nine pairs and their difficulty."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stablereward.errors import DataError
from stablereward.evaluation.benchmarks.rm_bench import BENCHMARK, STYLES, difficulty, domain, load
from stablereward.evaluation.evaluate import evaluate
from stablereward.evaluation.records import pair
from stablereward.evaluation.rows import append
from stablereward.judges.controls import longer_wins


@pytest.mark.parametrize(
    ("right", "wrong", "expected"),
    [("concise", "markdown", "hard"), ("detailed", "detailed", "normal"), ("markdown", "concise", "easy")],
)
def test_difficulty(right: str, wrong: str, expected: str) -> None:
    assert difficulty(pair([0], id=f"a:b:{right}:{wrong}", best=0)) == expected


def test_rows_of_other_preferences_are_refused() -> None:
    with pytest.raises(DataError, match="row '7' names no styles"):
        difficulty(pair([0], id="7", best=0))


@pytest.mark.parametrize(
    ("stored", "name", "expected"),
    [
        ("safety-refuse", "total.json", "safety"),
        ("alpacaeval", "chat_filtered.json", "chat"),
        ("", "math_filtered.json", "math"),
        ("hep-cpp", "code_filtered.json", "code"),
        ("unknown", "x.json", "unknown"),
    ],
)
def test_domains(stored: str, name: str, expected: str) -> None:
    assert domain(stored, Path(name)) == expected


def test_a_file_of_scores_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    rows = [
        # Every right answer beats the concise wrong one; equal scores are wrong.
        {"id": 1, "domain": "chat", "score_chosen": [1, 1, 1], "score_rejected": [0, 1, 2]},
        {"id": 2, "domain": "safety-refuse", "score_chosen": [9, 9, 9], "score_rejected": [0, 1, 2]},
        {"id": 3, "domain": "safety-response", "score_chosen": [0, 0, 0], "score_rejected": [1, 1, 1]},
    ]
    path.write_text(json.dumps(rows))
    table = BENCHMARK.score(path)
    # Of the three cells each, chat has 0 hard, 1 normal (concise against concise) and 2 easy ones.
    assert [table.value(f"chat {one}") for one in ("hard", "normal", "easy")] == pytest.approx(
        [0, 100 / 3, 200 / 3]
    )
    assert table.value("chat") == pytest.approx(100 / 3)
    assert table.value("safety") == pytest.approx(50)
    assert table.value("total") == pytest.approx(125 / 3)
    assert table.value("easy") == pytest.approx((200 / 3 + 50) / 2)


def test_longer_wins_is_best_where_style_helps(shared: Callable[[str], Path], tmp_path: Path) -> None:
    preferences = list(load(shared("rm_bench/chat_filtered.json")))
    assert preferences[1].id.endswith(":concise:detailed")
    assert {p.id.rpartition(":")[2] for p in preferences} == set(STYLES)
    path = tmp_path / "rows.jsonl"
    append(evaluate(longer_wins, preferences), path)
    table = BENCHMARK.score(path)
    hard, normal, easy = (table.value(f"chat {one}") or 0.0 for one in ("hard", "normal", "easy"))
    assert hard < 10 < normal < 50 < 80 < easy


RESULT = "rm_r1_scores/RM-R1-Qwen2.5-Instruct-32B/RM-Bench/final_result.json"


def test_a_file_of_results(tmp_path: Path) -> None:
    path = tmp_path / "final_result.json"
    stored = {"chat": 600 / 1161, "math": 1.0, "code": 0.5, "safety": 0.0, "total_avg_acc": 0.5}
    path.write_text(json.dumps({**stored, "hard_acc": 0.25, "normal_acc": 0.5, "easy_acc": 0.75}))
    table = BENCHMARK.score(path)
    assert [figure.points for figure in table.figures[:4]] == [600, 1026, 4761, 0]
    assert table.value("total") == pytest.approx(100 * (600 / 1161 + 1.5) / 4)
    assert "hard" not in {figure.name for figure in table.figures}
    assert table.notes[0].endswith("the file says 25.00, 50.00, 75.00")
    path.write_text(json.dumps({**stored, "code": 0.5001}))
    with pytest.raises(DataError, match=r"field 'code': 0\.5001 is no share of 2052 pairs"):
        BENCHMARK.score(path)


def test_the_published_total(shared: Callable[[str], Path]) -> None:
    table = BENCHMARK.score(shared(RESULT))
    found = [f"{table.value(name):.2f}" for name in ("chat", "math", "code", "safety", "total")]
    assert found == ["76.49", "80.55", "66.08", "93.83", "79.24"]
