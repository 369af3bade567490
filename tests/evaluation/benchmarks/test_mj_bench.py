"""MJ-Bench: ties by a threshold."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stablereward.data.prompts import r1_reward
from stablereward.errors import DataError
from stablereward.evaluation.benchmarks.mj_bench import BENCHMARK, called, load, read
from stablereward.types import images_of


@pytest.mark.parametrize(
    ("scores", "threshold", "verdict"),
    [((0.5, 0.25), 0.25, "tie"), ((0.5, 0.25), 0.2, "0"), ((0.0, 1.0), 0.5, "1"), ((1.0, 1.0), 0.0, "tie")],
)
def test_the_verdict_of_two_scores(scores: tuple[float, float], threshold: float, verdict: str) -> None:
    assert called(scores, threshold) == verdict


def test_three_ways_to_count_ties_and_texts_that_are_no_verdict(tmp_path: Path) -> None:
    path = tmp_path / "gpt4.json"
    stored = [
        ("0", "0"),
        ("1", "0"),
        ("tie", "tie"),
        ("tie", "0"),
        ("0", "tie"),
        ("0", "NON-format2\nthe second"),
    ]
    path.write_text(
        json.dumps(
            [
                {"id": i, "label": label, "pred_gpt4v": text, "score_0": "9 points"}
                for i, (label, text) in enumerate(stored)
            ]
        )
    )
    table = BENCHMARK.score(path)
    found = {figure.name: (figure.points, figure.n, figure.unread) for figure in table.figures}
    assert found == {"three classes": (2, 6, 1), "with ties": (1, 4, 1), "without ties": (1, 3, 1)}
    with pytest.raises(DataError, match="need two scores in every row"):
        BENCHMARK.score(path, rule="threshold_0.05")


def test_the_stored_verdicts_follow_at_every_threshold(shared: Callable[[str], Path]) -> None:
    at_zero = shared("mj_bench/validation_pickscore_eval_0.00.json")
    for threshold in ("0.00", "0.05"):
        path = shared(f"mj_bench/validation_pickscore_eval_{threshold}.json")
        records, _ = read(path)
        assert [called(record.scores, float(threshold)) for record in records] == [r.verdict for r in records]
        stored, computed = BENCHMARK.score(path), BENCHMARK.score(at_zero, rule=f"threshold_{threshold}")
        assert stored.figures == computed.figures


def test_one_sided_labels_are_noted(shared: Callable[[str], Path]) -> None:
    table = BENCHMARK.score(shared("mj_bench/personal/hps_v2.1/mpii0.0.json"))
    assert table.value("three classes") == 75.0
    assert table.notes == ("every label is 0: a judge that always says so is right everywhere",)


def test_pairs_are_loaded(shared: Callable[[str], Path]) -> None:
    first, *_ = load(shared("mj_bench/alignment/actions_test.json"), require_images=False)
    assert first.best == 1
    assert first.images == () and all(len(images_of(response)) == 1 for response in first.responses)
    assert r1_reward(first.swapped()).images == r1_reward(first).images[::-1]
    assert first.question.endswith("A curious cat exploring a haunted mansion")
