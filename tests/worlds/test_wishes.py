"""The world of wishes: directions, exact means, and policies of one network or of many."""

import math

import pytest
import torch

from stablereward.worlds.wishes import Obliging, Rated, Wish, Wishes, direction

WISHES = Wishes(num_answers=50)
DEGREES = [-45.0, -20.0, 0.0]
SHOWN = [Wish(number, degrees) for number, degrees in enumerate(DEGREES)]


def test_directions_are_unit_vectors() -> None:
    assert direction(0) == (1.0, 0.0)
    assert direction(-45) == pytest.approx((math.sqrt(0.5), -math.sqrt(0.5)))


def test_the_start_is_even_and_its_mean_exact() -> None:
    world, policy = Rated(WISHES, 0), Obliging(WISHES, SHOWN, 0)
    assert torch.allclose(policy.logprobs().exp(), torch.full((3, 50), 1 / 50))
    assert torch.allclose(policy.means(DEGREES, world.gold_N2), world.gold_N2.mean(0).expand(3, 2), atol=1e-6)


def test_all_answers_dominate_all_and_a_part_of_them_less() -> None:
    world = Rated(WISHES, 0)
    assert world.dominated(world.gold_N2) == 1.0
    best = (world.gold_N2 @ torch.tensor(direction(-20.0))).argmax()
    assert 0 < world.dominated(world.gold_N2[best][None]) < 1
    assert float(world.gold_N2.norm(dim=1).max()) <= 1


def test_networks_apart_serve_the_nearest_direction_and_do_not_touch_each_other() -> None:
    policy = Obliging(WISHES, SHOWN, 0, apart=True)
    before = policy.at(torch.tensor(DEGREES)).detach()
    with torch.no_grad():
        policy.nets[1][-1].bias[7] += 3.0  # type: ignore[index, operator, union-attr]
    after = policy.at(torch.tensor([-45.0, -21.0, 0.0]))
    assert torch.equal(after[[0, 2]], before[[0, 2]]) and int(after[1].argmax()) == 7


def test_one_network_is_shared_and_the_seed_alone_makes_it() -> None:
    torch.manual_seed(1)
    one = Obliging(WISHES, SHOWN, 5)
    state = torch.get_rng_state()
    other = Obliging(WISHES, SHOWN, 5)
    assert torch.equal(state, torch.get_rng_state()) and len(one.nets) == 1
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
