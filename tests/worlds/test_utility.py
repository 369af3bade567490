"""Points with a hidden utility: the same for a seed, and what is preferred follows it."""

import math
from pathlib import Path

import pytest
import torch

from stablereward.policies.scalar_head import HeadConfig
from stablereward.types import Reward
from stablereward.worlds.utility import Frozen, PointScorer, Utility, interaction, points, preferred, right

WORLD = Utility(num_train=400, num_held_out=400)


def test_the_interaction_by_hand() -> None:
    points_NX = torch.tensor([[1.0, -2.0, 0.5, 9.0, 9.0, 9.0]])
    assert float(interaction(points_NX)) == pytest.approx((-2.0 + math.tanh(1.0)) / math.sqrt(1.6))


@pytest.mark.parametrize("kind", ["nonlinear", "linear"])
def test_utilities_have_unit_variance(kind: str) -> None:
    points_NX = torch.randn((20_000, 6), generator=torch.Generator().manual_seed(0))
    assert float(Frozen(32, seed=1).utilities(points_NX, kind).var()) == pytest.approx(1.0, abs=0.1)


def test_one_layer_can_say_the_linear_utility_and_not_the_other() -> None:
    """What least squares on the features leaves of each utility's variance."""
    points_NX = torch.randn((4_000, 6), generator=torch.Generator().manual_seed(0))
    frozen = Frozen(32, seed=1)
    features_ND = torch.cat([frozen.features(points_NX), torch.ones(len(points_NX), 1)], dim=1)
    left = {}
    for kind in ("nonlinear", "linear"):
        utilities_N1 = frozen.utilities(points_NX, kind)[:, None]
        fitted_N1 = features_ND @ torch.linalg.lstsq(features_ND, utilities_N1).solution
        left[kind] = float((utilities_N1 - fitted_N1).var())
    assert left["linear"] < 1e-6 < 0.2 < left["nonlinear"]


def test_a_seed_makes_the_world_and_both_parts_see_one_map() -> None:
    first, again, other = (points(WORLD, 3, seed, held_out=False) for seed in (1, 1, 2))
    assert all(torch.equal(a.features_D, b.features_D) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0].features_D, other[0].features_D)
    held_out = points(WORLD, 3, 1, held_out=True)
    assert not torch.equal(first[0].features_D, held_out[0].features_D)


def test_better_points_are_preferred_more_often() -> None:
    ahead = [
        group.trajectories[0].utility > group.trajectories[1].utility
        for group in preferred(WORLD, 0)
        if isinstance(group.rewards[0], Reward) and group.rewards[0].value == 1.0
    ]
    assert 0.8 < sum(ahead) / len(ahead) < 1.0
    assert 0.4 < len(ahead) / WORLD.num_train < 0.6


def test_a_scorer_is_saved_and_read(tmp_path: Path) -> None:
    first, other = (PointScorer(WORLD.features, HeadConfig(), seed) for seed in (0, 1))
    first.save(tmp_path)
    assert right(other, WORLD, 0) != right(first, WORLD, 0)
    assert right(other.read(tmp_path), WORLD, 0) == right(first, WORLD, 0)
    assert 0.3 < sum(right(first, WORLD, 0)) / WORLD.num_held_out < 0.7
