"""LLMBar: four integers, an average and four kappas."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stablereward.errors import DataError
from stablereward.evaluation.benchmarks.llmbar import BENCHMARK, SUBSETS, kappa, load, subset
from stablereward.evaluation.records import pair
from stablereward.evaluation.rows import append


def result(label: int, given: str | None, swapped: str | None) -> dict[str, object]:
    verdicts = {"swap = False": {"winner": given}, "swap = True": {"winner": swapped}}
    return {"label": label, "results": [["an earlier note", "stop"], verdicts]}


def test_integers_by_hand_with_nulls(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_text(
        json.dumps([result(1, "1", "1"), result(2, "2", "1"), result(1, None, None), result(2, None, "2")])
    )
    table = BENCHMARK.score(path)
    names = ("correct_False", "correct_True", "correct_both", "equal", "correct_average")
    assert [table.value(name) for name in names] == [2, 2, 1, 2, 50.0]
    # Verdicts 1 0 0 0 and 1 1 0 0 against labels 1 2 1 2: as the authors compare them, 1 of 4 agrees.
    kappas = [table.value(f"kappa_{name}") for name in ("False", "True", "average", "agreement")]
    assert kappas == pytest.approx([1 / 7, 0, 1 / 14, 1 / 2])
    assert "null in both orders counts as equal" in table.about_rule
    [average] = [figure for figure in table.figures if figure.name == "correct_average"]
    assert average.unread == 3


def test_kappa_by_hand() -> None:
    # Agreement 3/4; by chance 1/2 · 3/4 + 1/2 · 1/4 = 1/2.
    assert kappa([1, 1, 0, 0], [1, 1, 0, 1]) == 0.5
    assert kappa([1, 0], [2, 2]) == 0.0
    assert kappa([1, 1], [1, 1]) is None


def test_one_order_is_not_enough(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append([pair([0], id="1", best=0)], path)
    with pytest.raises(DataError, match="needs both orders"):
        BENCHMARK.score(path)
    assert BENCHMARK.score(path, rule="stablereward").value("overall") == 100.0


def test_the_path_names_the_subset() -> None:
    assert subset(Path("x/Adversarial/GPTInst/evaluators/GPT-4/CoT/result.json")) == "Adversarial/GPTInst"
    assert subset(Path("result.json")) == ""


def test_a_published_run(shared: Callable[[str], Path]) -> None:
    table = BENCHMARK.score(shared("llmbar/Adversarial/Manual/evaluators/ChatGPT/Vanilla/result.json"))
    assert [table.value(name) for name in ("correct_False", "correct_True", "equal")] == [18, 14, 24]
    assert table.value("kappa_agreement") == pytest.approx(0.21671826625387003, abs=1e-15)


def test_one_subset_or_the_whole_folder(shared: Callable[[str], Path]) -> None:
    whole = list(load(shared("llmbar")))
    assert {p.category for p in whole} == set(SUBSETS)
    one = list(load(shared("llmbar/Adversarial/GPTOut/dataset.json")))
    assert one == [p for p in whole if p.category == "Adversarial/GPTOut"]
