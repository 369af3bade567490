"""Points annotated twice: ratings and strengths by hand, and both follow the hidden helpfulness."""

from dataclasses import replace

import pytest
import torch

from stablereward.types import Reward
from stablereward.worlds.rated import ATTRIBUTES, Rated, attributes, pairs, rating, strength
from stablereward.worlds.utility import Pair

WORLD = Rated(num_train=3000, num_held_out=50)


def gaps(world: Rated, m: float) -> list[float]:
    """By how much the better one is truly better, in the preferences of a strength."""
    found = []
    for pair in pairs(world, 0):
        first, second = earned(pair)
        ahead = pair.trajectories[0].utility - pair.trajectories[1].utility
        if max(first, second) == m:
            found.append(ahead if first > second else -ahead)
    return found


def earned(pair: Pair) -> list[float]:
    return [reward.value for reward in pair.rewards if isinstance(reward, Reward)]


def test_ratings_and_strengths_by_hand() -> None:
    assert rating(torch.tensor([-9.0, -1.0, 0.0, 0.4, 1.0, 9.0])).tolist() == [0, 1, 2, 3, 3, 4]
    assert strength(torch.tensor([0.1, -0.4, 0.5, -0.9, 1.0, -7.0])).tolist() == [1, 1, 2, 2, 3, 3]


def test_attributes_have_unit_variance_and_helpfulness_is_the_first() -> None:
    points_NX = torch.randn((40_000, 6), generator=torch.Generator().manual_seed(0))
    related_55 = torch.cov(attributes(points_NX).T)
    assert torch.allclose(related_55.diagonal(), torch.ones(5), atol=0.08)
    assert related_55[0].tolist() == pytest.approx([1.0, 0.8, 0.6, 0.0, 0.0], abs=0.06)
    assert float(related_55[3, 4]) == pytest.approx(0.8, abs=0.06)


def test_one_of_two_earns_the_strength_and_all_attributes_are_rated() -> None:
    for pair in pairs(WORLD, 1)[:100]:
        assert min(earned(pair)) == 0.0 and max(earned(pair)) in (1.0, 2.0, 3.0)
        for reward in pair.rewards:
            assert isinstance(reward, Reward) and tuple(reward.parts) == ATTRIBUTES
            assert set(reward.parts.values()) <= {0.0, 1.0, 2.0, 3.0, 4.0}


def test_a_stronger_preference_has_a_larger_true_gap_and_is_right_more_often() -> None:
    found = [gaps(WORLD, m) for m in (1.0, 2.0, 3.0)]
    assert all(len(some) > 600 for some in found)
    means = [sum(some) / len(some) for some in found]
    right = [sum(gap > 0 for gap in some) / len(some) for some in found]
    assert 0 < means[0] < means[1] < means[2] and 0.5 < right[0] < right[1] < right[2] < 1
    assert all(gap > 0 for m in (1.0, 2.0, 3.0) for gap in gaps(replace(WORLD, noise=0.0), m))


def test_careless_annotators_turn_slight_preferences_alone() -> None:
    careless = pairs(replace(WORLD, careless=1.0), 0)
    for pair, other in zip(pairs(WORLD, 0), careless, strict=True):
        assert earned(other) == (earned(pair)[::-1] if max(earned(pair)) == 1 else earned(pair))


def test_a_seed_makes_the_world_and_held_out_pairs_are_others() -> None:
    first, again, other = (pairs(WORLD, seed)[0].trajectories[0] for seed in (1, 1, 2))
    [held_out, *_] = pairs(WORLD, 1, held_out=True)
    assert torch.equal(first.features_D, again.features_D) and len(first.features_D) == WORLD.features
    assert not torch.equal(first.features_D, other.features_D)
    assert not torch.equal(first.features_D, held_out.trajectories[0].features_D)
