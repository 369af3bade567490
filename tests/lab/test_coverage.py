"""Simulated coverage: a part of the table of docs/metrics.md, which `stablereward lab coverage` prints."""

import numpy as np
import pytest
from source import ROOT

from stablereward.lab import coverage
from stablereward.lab.coverage import KINDS, SEEDS_KIND, Coverage, all_measured, measured, to_markdown

PAGE = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("n", [20, 50, 200])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != SEEDS_KIND])
def test_no_interval_over_pairs_covers_less_than_93_percent(kind: str, n: int) -> None:
    # Seven times as many cases as others have.
    repetitions = 1000 if kind == "difference, a few large questions" else 4000
    assert measured(kind, n, accuracies=(0.5, 0.95, 0.99), repetitions=repetitions).lowest >= 0.93


@pytest.mark.parametrize("n", [3, 5, 10])
def test_neither_does_one_over_seeds(n: int) -> None:
    assert measured(SEEDS_KIND, n, repetitions=10_000).lowest >= 0.93


def test_an_interval_that_does_not_hold_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wald's, as narrow as the percentile bootstrap's: 1 to 1 where all are right."""

    def wald(sums: coverage.Floats, sizes: coverage.Floats) -> coverage.Bounds:
        mean = sums.mean(axis=-1)
        reach = 1.96 * sums.std(axis=-1) / np.sqrt(sums.shape[-1])
        return mean - reach, mean + reach

    monkeypatch.setattr(coverage, "share_bounds", wald)
    found = measured("accuracy, one order", 20, accuracies=(0.95,))
    assert found.cases == 3 and found.lowest == pytest.approx(0.64, abs=0.07)


def test_the_truth_of_several_votes_is_their_mean() -> None:
    values, truth = coverage._curve(np.random.default_rng(0), 2000, 100, 0.7, 5)
    assert truth == pytest.approx(values.mean(), abs=5 * values.std() / values.size**0.5)


def test_the_page_has_every_kind_and_no_figure_under_93_percent() -> None:
    section = PAGE.partition("\n## Intervals\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("|") and " %" in line]
    found = {cells[0].strip(): [float(cell.strip(" %")) for cell in cells[1:]] for cells in rows}
    assert found.keys() == KINDS.keys()
    assert min(figure for figures in found.values() for figure in figures) >= 93
    assert "stablereward lab coverage" in section


def test_the_table_has_pairs_and_seeds_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        Coverage("accuracy, one order", 20, 0.9512, 0.97, 3),
        Coverage("accuracy, one order", 50, 0.944, 0.97, 3),
        Coverage(SEEDS_KIND, 5, 0.94, 0.95, 3),
    ]
    pairs, seeds = to_markdown(found).split("\n\n")
    assert "| 20 pairs | 50 pairs |" in pairs and "|   95.1 % |   94.4 % |" in pairs
    assert "5 seeds" in seeds and SEEDS_KIND in seeds and SEEDS_KIND not in pairs
    monkeypatch.setattr(coverage, "PAIRS", (20,))
    monkeypatch.setattr(coverage, "SEEDS", (3,))
    assert [one.kind for one in all_measured(repetitions=100)] == list(KINDS)
