"""VideoAlign: aspects, ties and their calibration."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from stablereward.errors import DataError
from stablereward.evaluation.benchmarks.videoalign import BENCHMARK, load
from stablereward.evaluation.records import pair
from stablereward.evaluation.rows import append

COLUMNS = "path_A,path_B,VQ,MQ,TA,reward_VQ_A,reward_VQ_B,reward_MQ_A,reward_MQ_B,reward_TA_A,reward_TA_B\n"


def write(path: Path, vq: list[tuple[str, float, float]]) -> Path:
    lines = [f"a,b,{label},A,B,{a},{b},1,0,1,0\n" for label, a, b in vq]
    path.write_text(COLUMNS + "".join(lines))
    return path


def test_without_ties_by_hand(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.csv", [("A", 2, 1), ("B", 2, 1), ("same", 1, 1), ("A", 1, 1)])
    table = BENCHMARK.score(path)
    assert table.value("VQ") == pytest.approx(100 / 3)
    assert (table.value("MQ"), table.value("TA")) == (100.0, 0.0)
    assert table.figures[0].ties == 1


@pytest.mark.parametrize("seed", range(20))
def test_the_threshold_is_the_best_of_all_differences(seed: int, tmp_path: Path) -> None:
    random = Random(seed)
    rows = [
        (random.choice(["A", "B", "same"]), random.randint(0, 4), random.randint(0, 4)) for _ in range(12)
    ]

    def right(threshold: float) -> int:
        called = ["same" if abs(a - b) <= threshold else "A" if a > b else "B" for _, a, b in rows]
        return sum(label == verdict for (label, _, _), verdict in zip(rows, called, strict=True))

    best = max(right(abs(a - b)) for _, a, b in rows)
    table = BENCHMARK.score(write(tmp_path / "pairs.csv", rows), rule="with_ties")
    assert table.value("VQ") == pytest.approx(100 * best / 12)


def test_a_judge_without_rewards(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append([pair([0, 1], id="1", best=0, category="TA")], path)
    assert BENCHMARK.score(path).value("TA") == 50.0
    with pytest.raises(DataError, match="needs two rewards in every row"):
        BENCHMARK.score(path, rule="with_ties")


def test_the_real_pairs(shared: Callable[[str], Path]) -> None:
    preferences = list(load(shared("videoalign/example.csv"), require_images=False))
    assert Counter(p.category for p in preferences) == {"VQ": 12, "MQ": 12, "TA": 12}
    assert [p.ranks for p in preferences[:6]] == [(1, 0), (1, 0), (0, 1), (0, 0), (0, 0), (0, 1)]
    assert all(a.responses == b.responses for a, b in pairwise(preferences[:3]))
    names = [image.name for image in preferences[0].swapped().all_images if isinstance(image, Path)]
    assert names == ["example_1_B", "example_1_A"]
