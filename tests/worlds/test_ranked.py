"""Ranked answers of the world of menus: labels that mostly follow the utility, and what is watched."""

import torch

from stablereward.training.direct import lead
from stablereward.worlds.menu import Menu, Shop, Taste
from stablereward.worlds.ranked import GOLD, KL, Ranked, course, ranked_pairs, watched

WORLD = Ranked(menu=Menu(num_prompts=60))


def test_pairs_follow_the_utility_more_often_than_not_and_a_label_may_disagree_with_the_scores() -> None:
    shop = Shop(WORLD.menu, 0)
    pairs = ranked_pairs(shop, WORLD, 0)
    assert len(pairs) == 60 * 10
    utilities = [
        [float(shop.utilities_PN[pair.prompt.number, one.answer]) for one in pair.trajectories]
        for pair in pairs
    ]
    assert 0.6 < sum(a > b for a, b in utilities) / 600 < 0.95
    assert min(map(lead, pairs)) < 0


def test_the_kl_is_to_the_policy_that_was_watched_first() -> None:
    taste = Taste(Shop(WORLD.menu, 0))
    figures = watched(taste)
    rows = [figures(None)]
    assert rows[0][KL] == 0.0
    with torch.no_grad():
        taste.theta_D.mul_(9.0)
    rows.append(figures(None))
    assert rows[1][KL] > 0 and rows[1][GOLD] > rows[0][GOLD]
    told = {figure.name: figure.value for figure in course(rows, WORLD)}
    assert rows[0][GOLD] < told["gold_at_kl"] < rows[1][GOLD] == told["gold"]
    assert "gold_at_kl" not in {figure.name for figure in course(rows[:1], WORLD)}
