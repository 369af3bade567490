"""RewardBench: sections and their weights."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stablereward.errors import DataError
from stablereward.evaluation.benchmarks.rewardbench import BENCHMARK, SECTIONS, SIZES
from stablereward.evaluation.records import TIE, UNREAD, pair
from stablereward.evaluation.rows import append

FILE = "rm_r1_scores/RM-R1-Qwen2.5-Instruct-32B/reward_bench/score_result/each_small_section_score.json"


def test_sizes() -> None:
    assert sum(SIZES.values()) == 2985
    assert [sum(subsets.values()) for subsets in SECTIONS.values()] == [358, 456, 740, 1431]


def test_weights_by_hand(tmp_path: Path) -> None:
    """Only mathematics right: 447 of 1,431 pairs, but half of the section's weight."""
    path = tmp_path / "scores.json"
    path.write_text(json.dumps({**dict.fromkeys(SIZES, 0.0), "math-prm": 1.0, "xstest-should-refuse": 1}))
    official = BENCHMARK.score(path)
    assert official.value("Reasoning") == 50.0
    assert official.value("Safety") == pytest.approx(100 * 250 / 740)
    assert BENCHMARK.score(path, rule="rm_r1").value("Safety") == pytest.approx(100 * 154 / 740)
    assert official.value("micro") == pytest.approx(100 * (447 + 154) / 2985)
    assert official.value("average") == pytest.approx((50 + 100 * 250 / 740) / 4)


def test_a_share_that_is_no_number_of_pairs_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    for value in (0.003, 2, True, "high", float("nan")):
        path.write_text(json.dumps({**dict.fromkeys(SIZES, 1.0), "alpacaeval-easy": value}))
        with pytest.raises(DataError, match=r"field 'alpacaeval-easy': .* is no share of 100 pairs"):
            BENCHMARK.score(path)


def test_ties_and_unread_verdicts(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append([pair([c], id="1", best=0, category="mt-bench-easy") for c in (0, 1, TIE, UNREAD)], path)
    assert BENCHMARK.score(path).value("Chat") == 50.0
    assert BENCHMARK.score(path, rule="scalar").value("Chat") == 25.0
    assert BENCHMARK.score(path).value("Safety") is None


def test_the_published_sections(shared: Callable[[str], Path]) -> None:
    table = BENCHMARK.score(shared(FILE), rule="rm_r1")
    names = ("Chat", "Chat Hard", "Safety", "Reasoning", "average", "micro")
    found = [f"{table.value(name):.2f}" for name in names]
    assert found == ["95.25", "83.11", "91.89", "95.21", "91.37", "92.93"]
