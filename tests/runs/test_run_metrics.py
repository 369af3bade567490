from stablereward.objectives.named import rloo
from stablereward.runs.metrics import SUMS, WEIGHT, as_mean


def test_sums_over_tokens_become_means_and_nothing_else_does():
    row = {"policy/entropy": 3.0, "policy/ratio_max": 3.0, "reward/mean": 3.0, WEIGHT: 6.0}
    assert as_mean(row, "policy/entropy") == 0.5
    assert as_mean(row, "policy/ratio_max") == 3.0 == as_mean(row, "reward/mean")
    assert as_mean(row, WEIGHT) == 6.0 and as_mean(row, "absent") is None
    for without in ({}, {WEIGHT: 0.0}):
        assert as_mean({"policy/entropy": 3.0, **without}, "policy/entropy") == 3.0


def test_what_an_objective_sums_is_known():
    import torch

    ones = torch.ones(2, 3)
    objective = rloo()
    weights = objective.reduction(ones.bool())
    loss = objective.loss(-ones, -ones, ones, weights, ones.bool())
    assert set(loss.metrics) - {WEIGHT} <= SUMS and float(loss.metrics[WEIGHT]) == 3.0
