"""RMB: pairs and best of n."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stablereward.errors import DataError
from stablereward.evaluation.benchmarks.rmb import BENCHMARK, SCENARIOS, SECTIONS, SIZES, load
from stablereward.evaluation.evaluate import evaluate
from stablereward.evaluation.records import TIE, UNREAD, pair
from stablereward.evaluation.rows import append
from stablereward.judges.controls import longer_wins

PAIRS, ITEMS = "Pairwise_set/Harmlessness/S1", "BoN_set/Helpfulness/Chat/Discussion"
SCORES = "rm_r1_scores/RM-R1-Qwen2.5-Instruct-32B/RMB"


def written(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value))
    return path


def test_sizes() -> None:
    assert len(SCENARIOS) == 49
    sizes = BENCHMARK.maps["official"].sizes
    assert list(sizes.values()) == [10067, 7064, 2109, 1677]
    assert sum(sizes.values()) == sum(SIZES.values())


def test_rewards_of_pairs_as_the_authors_write_them(tmp_path: Path) -> None:
    rows = [
        {
            "pair_uid": str(i),
            "category_path": PAIRS,
            "chosen_reward": a,
            "reject_reward": b,
            "is_correct": int(a > b),
        }
        for i, (a, b) in enumerate([(2, 1), (1, 2), (1, 1), (3, 0)])
    ]
    table = BENCHMARK.score(written(tmp_path / "result.json", rows))
    # Equal rewards are wrong.
    assert table.value("Pairwise Harmlessness") == 50.0
    assert BENCHMARK.score(tmp_path / "result.json", map="scenario").value(PAIRS) == 50.0


def test_verdicts_of_pairs(tmp_path: Path) -> None:
    rows = [{"pair_uid": str(i), "category_path": PAIRS, "results": r} for i, r in enumerate([1, 0, 0.5, 1])]
    table = BENCHMARK.score(written(tmp_path / "logs.json", rows))
    assert table.value("Pairwise Harmlessness") == 62.5


def test_the_best_of_n_must_beat_every_other(tmp_path: Path) -> None:
    results = {"a": [1, 1], "b": [1, 0], "c": [1, 0.5, 1], "d": [1]}
    rows = [
        {"bon_uid": name, "category_path": ITEMS, "idx": i, "results": one}
        for i, (name, some) in enumerate(results.items())
        for one in some
    ]
    table = BENCHMARK.score(written(tmp_path / "raw_logs.json", rows))
    [figure] = [figure for figure in table.figures if figure.name == "BoN Helpfulness"]
    assert (figure.points, figure.n) == (2, 4)
    scores = [
        {"bon_uid": "a", "category_path": ITEMS, "score_chosen": [1], "score_rejected": [s]} for s in (0, 1)
    ]
    assert BENCHMARK.score(written(tmp_path / "raw_logs.json", scores)).value("BoN Helpfulness") == 0.0


def test_our_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append([pair([c], id=str(i), best=0, category=PAIRS) for i, c in enumerate((0, 1, TIE, UNREAD))], path)
    append([pair([c], id=str(i), best=0, category=ITEMS) for i, c in enumerate((0, TIE))], path)
    table = BENCHMARK.score(path)
    assert table.value("Pairwise Harmlessness") == 37.5
    assert table.value("BoN Helpfulness") == 50.0
    assert table.value("average") == pytest.approx((37.5 + 50) / 2)


def test_shares_must_be_of_known_scenarios_and_whole_pairs(tmp_path: Path) -> None:
    path = tmp_path / "Final_score.json"
    shares = {PAIRS: 400.5 / 459}
    table = BENCHMARK.score(written(path, [{"Overall_accuracy": 400.5 / 459}, shares]))
    assert table.value("Pairwise Harmlessness") == pytest.approx(100 * 400.5 / 459)
    for second, said in (
        ({"S99": 1.0}, "'S99' is no scenario"),
        ({PAIRS: 0.123}, "is no share of 459 pairs"),
    ):
        with pytest.raises(DataError, match=said):
            BENCHMARK.score(written(path, [{"Overall_accuracy": 1.0}, second]))
    with pytest.raises(DataError, match="not the two objects"):
        BENCHMARK.score(written(path, [{"Overall_accuracy": 1.0}]))


def test_pairs_and_items_load_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    turns = [{"role": "user", "content": "hello"}]
    best, worse, worst = ({"llm_name": "m", "answer": text} for text in ("best one", "worse", "bad"))
    written(
        tmp_path / "deep/pairs.json",
        [
            {
                "pair_uid": "1",
                "category_path": PAIRS,
                "conversation_input": turns,
                "chosen": best,
                "reject": worse,
            }
        ],
    )
    talk = [*turns, {"role": "assistant", "content": "hi"}, {"role": "user", "content": "and?"}]
    items = [{"bon_uid": "2", "category_path": ITEMS, "conversation_input": talk, "bon_best": best}]
    items[0]["loser_list"] = [worse, worst]
    written(tmp_path / "items.json", items)
    one, other = load(tmp_path)
    assert (one.question, one.responses, one.ranks, one.category) == (
        "hello",
        ("best one", "worse"),
        (0, 1),
        PAIRS,
    )
    assert other.question == "user: hello\n\nassistant: hi\n\nuser: and?"
    assert (other.responses, other.ranks) == (("best one", "worse", "bad"), (0, 1, 1))
    path = tmp_path / "rows.jsonl"
    append(evaluate(longer_wins, [one, other]), path)
    assert BENCHMARK.score(path).value("average") == 100.0
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"none: holds no \.json files"):
        list(load(tmp_path / "none"))


@pytest.mark.parametrize(
    ("start", "published"),
    [
        ("Pairwise_set/Helpfulness", 0.8017284195887553),
        ("Pairwise_set/Harmlessness", 0.8057757644394111),
        ("BoN_set/Helpfulness", 0.6505452821242295),
        ("BoN_set/Harmlessness", 0.6624925462134764),
    ],
)
def test_the_published_sections(start: str, published: float, shared: Callable[[str], Path]) -> None:
    path = shared(f"{SCORES}/{start.replace('/', '_')}/score_result/Final_score.json")
    assert BENCHMARK.score(path).value(SECTIONS[start]) == pytest.approx(100 * published, abs=1e-12)
