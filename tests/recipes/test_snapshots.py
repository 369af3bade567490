"""Snapshots: weights come back as they were, whatever was learnt since."""

import copy
from pathlib import Path

import torch

from stablereward.recipes.snapshots import Snapshots
from stablereward.runs.folder import RunFolder
from stablereward.worlds.menu import Menu, Shop, Taste


def test_every_round_comes_back_and_the_policy_is_left_alone(tmp_path: Path) -> None:
    taste = Taste(Shop(Menu(), 0))
    frozen = copy.deepcopy(taste).requires_grad_(False)
    kept = Snapshots(RunFolder(tmp_path), "rounds", taste, frozen)
    weights = []
    for number in range(3):
        kept.take(number)
        weights.append(taste.theta_D.detach().clone())
        with torch.no_grad():
            taste.theta_D.add_(1.0)
    now = taste.theta_D.detach().clone()
    for number in (2, 0, 0, 1, -1):
        assert torch.equal(kept.at(number).theta_D, weights[max(0, number)])
    assert torch.equal(taste.theta_D, now) and not kept.at(0).theta_D.requires_grad
    # Another process, which goes on within a round, finds those of the rounds before.
    again = Snapshots(RunFolder(tmp_path), "rounds", taste, frozen)
    assert torch.equal(again.at(1).theta_D, weights[1]) and kept.newest == 2
    again.restore(1)
    assert torch.equal(taste.theta_D, weights[1]) and taste.theta_D.requires_grad
    assert again.has(1) and not again.has(3)
