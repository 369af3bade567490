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
    assert official.value("Safety") == pytest.approx(100 * 154 / 740)
    # The first releases exchanged the sizes of the two XSTest subsets.
    assert BENCHMARK.score(path, rule="until_0.1.2").value("Safety") == pytest.approx(100 * 250 / 740)
    assert official.value("micro") == pytest.approx(100 * (447 + 154) / 2985)
    assert official.value("average") == pytest.approx((50 + 100 * 154 / 740) / 4)


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
    table = BENCHMARK.score(shared(FILE), rule="scalar")
    names = ("Chat", "Chat Hard", "Safety", "Reasoning", "average", "micro")
    found = [f"{table.value(name):.2f}" for name in names]
    assert found == ["95.25", "83.11", "91.89", "95.21", "91.37", "92.93"]


COLUMNS = {
    "id": [1, 2, 3, 4],
    "subset": ["mt-bench-easy"] * 4,
    "results": [1, 0, 0, 1],
    "scores_chosen": [[1.5], [0.5], [2.0], [3.0]],
    "scores_rejected": [[0.5], [1.5], [2.0], [1.0]],
    "model": "a reward model",
    "chat_template": None,
}
"""As run_rm.py of the authors saves a scorer's table; the third pair has equal scores."""


def test_rows_with_scores_stand_in_columns_or_in_lines(tmp_path: Path) -> None:
    columns, lines = tmp_path / "columns.json", tmp_path / "lines.jsonl"
    columns.write_text(json.dumps(COLUMNS))
    rows = [{name: COLUMNS[name][i] for name in COLUMNS if isinstance(COLUMNS[name], list)} for i in range(4)]
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for path in (columns, lines):
        official = BENCHMARK.score(path)
        # The authors' scripts call equal scores wrong, whatever a tied verdict is worth.
        assert official.value("Chat") == BENCHMARK.score(path, rule="scalar").value("Chat") == 50.0
        [chat] = [figure for figure in official.figures if figure.name == "Chat"]
        assert (chat.ties, chat.unread) == (1, 0)
        assert not any("differ" in note for note in official.notes)


def test_rows_of_a_judge_that_writes(tmp_path: Path) -> None:
    path = tmp_path / "outputs.jsonl"
    rows = [{"id": str(i), "subset": "hep-go", "results": result} for i, result in enumerate((1, 0, 0.5))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert BENCHMARK.score(path).value("hep-go") == 50.0
    assert BENCHMARK.score(path, rule="scalar").value("hep-go") == pytest.approx(100 / 3)


def test_a_result_that_its_scores_deny_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({**COLUMNS, "results": [0, 0, 0, 1]}))
    table = BENCHMARK.score(path)
    assert table.value("Chat") == 50.0
    assert table.notes[0] == "1 stored results differ from what their scores say"


def test_rows_without_subsets_take_them_from_the_data(tmp_path: Path) -> None:
    path, data = tmp_path / "model_outputs.jsonl", tmp_path / "filtered.jsonl"
    path.write_text("".join(json.dumps({"prompt": [], "results": result}) + "\n" for result in (1, 0)))
    with pytest.raises(DataError, match="its rows name no subset; name the benchmark's own file"):
        BENCHMARK.score(path)
    pairs = [{"prompt": "q", "chosen": "a", "rejected": "b", "subset": s} for s in ("hep-go", "hep-js")]
    data.write_text("".join(json.dumps(row) + "\n" for row in pairs))
    table = BENCHMARK.score(path, data=data)
    assert (table.value("hep-go"), table.value("hep-js")) == (100.0, 0.0)
    data.write_text(json.dumps(pairs[0]) + "\n")
    with pytest.raises(DataError, match=r"has 2 rows, where .*filtered\.jsonl has 1"):
        BENCHMARK.score(path, data=data)


def test_shares_of_a_judge_that_writes_have_halves(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    shares = {**dict.fromkeys(SIZES, 1.0), "hep-go": 0.5 / 164}
    for content in ({**shares, "model": "m"}, {"accuracy": 0.9, "extra_results": shares}):
        path.write_text(json.dumps(content))
        table = BENCHMARK.score(path)
        assert table.value("hep-go") == pytest.approx(50 / 164)
        assert table.value("hep-js") == 100.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"results": [1, 0, 0, 7]}, "row 4: field 'results"),
        ({"scores_chosen": [[1.0], [0.5], [float("nan")], [3.0]]}, "row 3: field 'scores_chosen"),
        ({"subset": ["mt-bench-easy"] * 3}, "columns of unequal length: results 4, subset 3"),
        ({"scores_rejected": [["high"], [1.5], [2.0], [1.0]]}, "row 1: field 'scores_rejected"),
    ],
)
def test_a_bad_column_is_named(change: dict[str, object], said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps({**COLUMNS, **change}))
    with pytest.raises(DataError, match=said):
        BENCHMARK.score(path)
