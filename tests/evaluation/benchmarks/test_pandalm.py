"""PandaLM: majorities and macro averages."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from stablereward.errors import DataError
from stablereward.evaluation.benchmarks.pandalm import BENCHMARK, load


def row(idx: int, *labels: int) -> dict[str, object]:
    texts = {"instruction": "i", "input": "", "response1": "x", "response2": True}
    return {"idx": idx, **texts, **{f"annotator{n}": label for n, label in enumerate(labels, 1)}}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "testset.json"
    path.write_text(json.dumps([row(0, 1, 1, 2), row(1, 2, 2, 2), row(2, 0, 0, 1), row(3, 1, 0, 2)]))
    return path


def test_the_majority_decides(data: Path) -> None:
    preferences = list(load(data))
    assert [p.ranks for p in preferences] == [(0, 1), (1, 0), (0, 0), (0, 0)]
    assert preferences[0].responses == ("x", "True")


def test_by_hand(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "judged.json"
    results = ["1", "1", "Tie", "garbage"]
    path.write_text(
        json.dumps([{"idx": i, "gpt_result": r, "gpt_reason": ""} for i, r in enumerate(results)])
    )
    table = BENCHMARK.score(path, data=data)
    # Labels 1 2 0 0, verdicts 1 1 0 0 with the unread one as a tie.
    assert table.value("accuracy") == 75.0
    assert table.value("precision") == pytest.approx(100 * (1 + 1 / 2 + 0) / 3)
    assert table.value("recall") == pytest.approx(100 * (1 + 1 + 0) / 3)
    assert table.value("F1") == pytest.approx(100 * (1 + 2 / 3 + 0) / 3)
    assert (table.figures[0].unread, table.figures[0].ties) == (1, 1)
    with pytest.raises(DataError, match=r"name testset-v1.json too"):
        BENCHMARK.score(path)


def test_the_real_files(shared: Callable[[str], Path]) -> None:
    labels = Counter(p.ranks for p in load(shared("pandalm/testset-v1.json")))
    assert labels == {(0, 0): 105, (0, 1): 422, (1, 0): 472}
    table = BENCHMARK.score(
        shared("pandalm/gpt-3.5-turbo-testset-v1.json"), data=shared("pandalm/testset-v1.json")
    )
    found = [f"{table.value(name):.2f}" for name in ("accuracy", "precision", "recall", "F1")]
    assert found == ["71.07", "58.79", "57.36", "57.55"]
    assert table.figures[0].unread == 25
