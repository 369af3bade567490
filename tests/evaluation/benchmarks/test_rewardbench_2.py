"""RewardBench 2: best of four, ties, and scores that no order of rows changes."""

import json
from math import tanh
from pathlib import Path
from random import Random

import pytest

from stablereward.engines.scripted import Scripted
from stablereward.errors import DataError
from stablereward.evaluation.benchmarks.rewardbench_2 import BENCHMARK, load, points, ties_score
from stablereward.evaluation.evaluate import evaluate
from stablereward.evaluation.presentation import presented
from stablereward.evaluation.records import Judged
from stablereward.evaluation.rows import append
from stablereward.judges.generative import Generative
from stablereward.types import Preference, Prompt


def item(id: str, *scores: float, right: int = 1) -> Judged:
    return Judged(id=id, category="Ties", scores=scores, num_right=right)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (Judged(scores=(3, 1, 2, 0)), 1.0),
        (Judged(scores=(3, 3, 2, 3)), 1 / 3),
        (Judged(scores=(1, 3, 2, 0)), 0.0),
        (Judged(label="right", verdict="right"), 1.0),
        (Judged(label="right", verdict="wrong"), 0.0),
        (Judged(label="right", verdict=None), 0.25),
    ],
)
def test_what_an_item_earns(record: Judged, expected: float) -> None:
    assert points(record) == expected


def test_the_ties_score_by_hand() -> None:
    records = [
        # Spread 1, gap 3; its reference has a gap of 2: everything right.
        item("tied:1", 5, 4, 1, right=2),
        item("ref:1", 4, 2, 1),
        # Spread 2, gap 1, reference gap 5: right, but the spread is larger than the gap.
        item("tied:2", 5, 3, 2, right=2),
        item("ref:2", 9, 4),
        # A wrong answer scores highest, and the reference is wrong.
        item("tied:3", 3, 2, 4, right=2),
        item("ref:3", 1, 2),
    ]
    margins = (tanh(2 / 1 - 1) + tanh(1 / 2 - 1) + tanh(-2 / 1 - 1)) / 3
    expected = 0.3 * 2 / 3 + 0.3 * 2 / 3 + 0.2 * 1 / 3 + 0.2 * 1 / 3 + 0.01 * margins
    assert ties_score(records) == pytest.approx(expected)
    assert ties_score(records[::-1]) == pytest.approx(expected)


def test_equal_right_scores_have_no_spread() -> None:
    good = [item("tied:1", 5, 5, 1, right=2), item("ref:1", 5, 1)]
    assert ties_score(good) == pytest.approx(1.0)
    # A little spread far below the gap is worth the whole last hundredth.
    near = [item("tied:1", 5, 5 - 1e-3, 1, right=2), item("ref:1", 5, 1)]
    assert ties_score(near) == pytest.approx(1.01)
    assert ties_score([*good, item("tied:2", 6, 5, 3, right=2), item("ref:2", 4, 2)]) == pytest.approx(
        1 + 0.01 * tanh(2 / 1 - 1)
    )
    level = [item("tied:1", 5, 5, 5, right=2), item("ref:1", 5, 5)]
    assert ties_score(level) == 0.0


def test_a_file_of_scores(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    rows = [
        {"id": 1, "subset": "Math", "scores": [[2.0], [1.0], [0.0], [0.0]], "num_correct": 1},
        {"id": 2, "subset": "Math", "scores": [1, 1, 0, 0], "num_correct": 1},
        {"id": 3, "subset": "Focus", "scores": [0, 1, 0, 0]},
        {"id": "ref:0", "subset": "ties", "scores": [2, 1], "num_correct": 1},
        {"id": "tied:0", "subset": "ties", "scores": [2, 2, 1], "num_correct": 2},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = BENCHMARK.score(path)
    assert [table.value(name) for name in ("Math", "Focus")] == [75.0, 0.0]
    assert table.value("Ties") == pytest.approx(100.0)
    assert table.value("average") == pytest.approx(175 / 3)


def test_the_right_answers_come_first(tmp_path: Path) -> None:
    path = tmp_path / "rb2.jsonl"
    row = {"id": "a", "subset": "ties", "prompt": "q", "chosen": ["x", "y"], "rejected": ["z"]}
    path.write_text(json.dumps(row) + "\n")
    [preference] = load(path)
    assert (preference.responses, preference.ranks, preference.category) == (
        ("x", "y", "z"),
        (0, 0, 1),
        "Ties",
    )
    assert preference.best is None


def prefers_early(prompt: Prompt, k: int) -> str:
    """A judge with a habit: the first response shown unless it says that it is wrong, else the second."""
    assert prompt.preference is not None
    first = prompt.preference.responses[0]
    return f"<think></think><answer>{2 if 'wrong' in first else 1}</answer>"


def test_ten_runs_with_shuffled_rows_give_the_same_score(tmp_path: Path) -> None:
    items = [
        Preference(
            question=f"q{i}",
            responses=(f"right {i}", *(f"{'wrong' if i % 3 else 'poor'} {i} {j}" for j in range(3))),
            ranks=(0, 1, 1, 1),
            id=str(i),
            category="Math" if i % 2 else "Focus",
        )
        for i in range(60)
    ]
    judge = Generative(engine=Scripted(prefers_early))
    tables = []
    for run in range(10):
        order = items[:]
        Random(run).shuffle(order)
        path = tmp_path / f"{run}.jsonl"
        append(evaluate(judge, [presented(p, seed=1) for p in order], both_orders=False), path)
        tables.append(BENCHMARK.score(path).figures)
    assert all(figures == tables[0] for figures in tables)
    values = {figure.name: figure.value for figure in tables[0]}
    assert 25 < (values["average"] or 0) < 60
    path = tmp_path / "other.jsonl"
    append(evaluate(judge, [presented(p, seed=2) for p in items], both_orders=False), path)
    assert BENCHMARK.score(path).figures != tables[0]


def test_rows_in_columns_and_rows_of_judges_that_write(tmp_path: Path) -> None:
    path = tmp_path / "columns.json"
    columns = {"id": ["1", "2"], "subset": ["Math", "Math"], "num_correct": [1, 1], "model": "m"}
    path.write_text(json.dumps({**columns, "scores": [[3, 1, 0, 0], [1, 1, 0, 0]], "results": [1, 0.5]}))
    assert BENCHMARK.score(path).value("Math") == 75.0
    # A verdict, two top ratings, three, and one that was not read.
    columns = {"id": list("abcd"), "subset": ["Focus"] * 4, "results": [1, 0.5, 1 / 3, 0.25]}
    path.write_text(json.dumps(columns))
    table = BENCHMARK.score(path)
    assert table.value("Focus") == pytest.approx(100 * (1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert [figure.unread for figure in table.figures if figure.name == "Focus"] == [1]


@pytest.mark.parametrize(
    "row",
    [
        {"id": "tied:1", "subset": "Ties", "scores": [1, 1], "num_correct": 2},
        {"id": "7", "subset": "ties", "scores": [1, 1, 0], "num_correct": 2},
        {"id": "tied:1", "subset": "ties", "results": 1},
        {"id": "a", "subset": "Math", "scores": [], "num_correct": 1},
        {"id": "a", "subset": "Math", "scores": [1, 0], "num_correct": 0},
        {"id": "a", "subset": "Math"},
    ],
)
def test_an_item_that_cannot_be_scored_is_named(row: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    good = {"id": "a", "subset": "Math", "scores": [1, 0, 0, 0], "num_correct": 1}
    path.write_text(json.dumps(good) + "\n" + json.dumps(row) + "\n")
    with pytest.raises(DataError, match=r"x\.jsonl:2: "):
        BENCHMARK.score(path)
