"""Best-of-n over all subsets, against subsets that are listed, and the curve of a proxy that is hacked."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest

from stablereward.errors import DataError
from stablereward.evaluation.over_optimization import FILE, best_of_n, chances, curve, mean_of, write

PROXY = np.array([0.3, 2.0, 0.3, -1.0, 2.0, 5.0])
GOLD = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])


@pytest.mark.parametrize("n", range(1, 7))
def test_chances_are_those_of_listed_subsets(n: int) -> None:
    counted = np.zeros(6)
    subsets = list(itertools.combinations(range(6), n))
    for subset in subsets:
        top = max(PROXY[i] for i in subset)
        best = [i for i in subset if PROXY[i] == top]
        counted[best] += 1 / len(best) / len(subsets)
    assert chances(PROXY, n) == pytest.approx(counted)


def test_law_best_of_1_is_the_mean_and_of_all_the_best() -> None:
    assert best_of_n([PROXY], [GOLD], 1) == pytest.approx([GOLD.mean()])
    assert best_of_n([PROXY], [GOLD], 6) == pytest.approx([32.0])


def test_law_a_growing_function_of_the_proxy_chooses_the_same() -> None:
    assert best_of_n([np.exp(PROXY)], [GOLD], 3) == pytest.approx(best_of_n([PROXY], [GOLD], 3))


def test_many_responses_do_not_overflow() -> None:
    scores = np.random.default_rng(0).normal(size=4096)
    assert best_of_n([scores], [scores], 2048)[0] > best_of_n([scores], [scores], 64)[0] > 2
    assert chances(scores, 2048).sum() == pytest.approx(1.0)


def test_the_best_of_n_by_gold_itself_never_loses_and_of_a_hacked_proxy_does() -> None:
    drawn = np.random.default_rng(0)
    quality, showy = drawn.normal(size=(2, 200, 64))
    gold = quality - 2 * np.maximum(showy - 1, 0) ** 2
    ns = (1, 2, 4, 8, 16, 32, 64)
    honest, hacked = curve(list(gold), list(gold), ns), curve(list(quality + showy), list(gold), ns)
    assert honest.best_n == 64 and honest.lost.value == 0
    assert hacked.best_n < 64 and hacked.lost.low is not None and hacked.lost.low > 0
    assert hacked.points[-1].proxy.value > hacked.points[0].proxy.value
    first, second = hacked.points[:2]
    assert first.kl == 0 and second.kl == pytest.approx(math.log(2) - 0.5)
    assert first.gain.value == pytest.approx(0.0) and first.gold.value == pytest.approx(gold.mean())


def test_the_interval_is_students() -> None:
    mean = mean_of(np.array([1.0, 2.0, 3.0]))
    assert (mean.value, mean.low, mean.high) == (2.0, pytest.approx(2 - 4.3027 / 3**0.5, abs=1e-3),
                                                pytest.approx(2 + 4.3027 / 3**0.5, abs=1e-3))  # fmt: skip
    assert mean_of(np.array([1.0])).low is None


@pytest.mark.parametrize(
    ("proxy", "gold", "ns", "message"),
    [
        ([PROXY], [GOLD], (1, 7), "best-of-7 needs as many"),
        ([PROXY], [GOLD[:3]], (1,), "6 scores and 3 of gold"),
        ([PROXY], [np.full(6, np.nan)], (1,), "not finite"),
        ([], [], (1,), "needs questions"),
        ([PROXY], [GOLD], (2, 1), "ascending n"),
    ],
)
def test_mistakes_are_named(proxy, gold, ns, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DataError, match=message):
        curve(proxy, gold, ns)


def test_it_is_written_for_the_report(tmp_path: Path) -> None:
    write(tmp_path, {"mean": curve([PROXY], [GOLD], (1, 2))})
    assert json.loads((tmp_path / FILE).read_text())["mean"]["best_n"] == 2
