import pytest

from .made import START, outcome, study

CALM = [0.90, 0.92, 0.94]


def test_a_cell_by_hand():
    made = study(
        {("calm", "ppo"): CALM, ("stress", "ppo"): [0.90, 0.50]},
        outcome("stress", "ppo", 2, 0.4, skipped=3, worst_log_ratio=7.0, preclip=0.3, readable=0.4),
    )
    cell = made.cell("stress", "ppo")
    assert (cell.start, cell.runs, cell.collapsed, cell.non_finite, cell.skipped) == (START, 3, 2, 1, 3)
    assert cell.accuracy.value == pytest.approx(0.6)
    assert cell.change is not None and cell.change.value == pytest.approx(-0.96 / 3)
    assert cell.worst_log_ratio == 7.0 and cell.preclip == pytest.approx(0.1)
    assert cell.readable == pytest.approx(0.8)
    assert made.cell("calm", "ppo").change is None


def test_differences_are_paired_by_seed():
    made = study({("calm", "stable_reinforce"): CALM, ("calm", "ppo"): [0.80, 0.84]})
    [contrast] = made.contrasts()
    assert contrast.arm == "ppo" and contrast.difference.n == 2
    # Differences .10 and .08: .09 ± 12.706 · .01414 / √2.
    assert contrast.difference.value == pytest.approx(0.09)
    assert contrast.difference.low == pytest.approx(0.09 - 0.12706, abs=1e-5)
    assert study({("calm", "ppo"): CALM}).contrasts() == []


def test_the_sweep_takes_its_clean_cell_from_the_ablation_for_its_own_seeds():
    noisy = [
        outcome("calm", "stable_reinforce", seed, 0.8, flip=flip, consistency_weight=weight)
        for seed in (0, 1)
        for weight, flip in [(0.0, 0.0), (1.0, 0.4)]
    ]
    cells = study({("calm", "stable_reinforce"): CALM}, *noisy).noisy()
    assert [(one.consistency_weight, one.flip, one.accuracy.n) for one in cells] == [
        (0.0, 0.0, 2),
        (0.5, 0.0, 2),
        (1.0, 0.4, 2),
    ]
    assert cells[1].accuracy.value == pytest.approx(0.91)
    assert study({("calm", "stable_reinforce"): CALM}).noisy() == []
