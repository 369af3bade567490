"""Showy responses: what is hidden by hand, one data set for all maps, and candidates that are not better."""

from dataclasses import replace

import torch

from stablereward.worlds.showy import Showy, candidates, labelled, length, quality

WORLD = Showy(num_train=3000, num_questions=50, num_candidates=40)


def test_quality_by_hand() -> None:
    asked_NQ, answered_NA = torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[3.0, -1.0, 0.0, 2.0, 9.0]])
    assert float(quality(asked_NQ, answered_NA)) * 3.6**0.5 == torch.tensor(3.0 - 2.0 + 0.0 + 2.0)
    drawn = torch.Generator().manual_seed(0)
    many = quality(torch.randn((20_000, 3), generator=drawn), torch.randn((20_000, 5), generator=drawn))
    assert 0.9 < float(many.var()) < 1.1


def test_maps_see_one_data_set() -> None:
    first, other = (labelled(WORLD, seed=1, map_seed=m) for m in (0, 1))
    assert not torch.equal(first[0].trajectories[0].features_D, other[0].trajectories[0].features_D)
    assert [g.rewards for g in first] == [g.rewards for g in other]
    assert [t.utility for g in first for t in g.trajectories] == [
        t.utility for g in other for t in g.trajectories
    ]
    again = labelled(WORLD, seed=1, map_seed=0)
    assert torch.equal(first[5].trajectories[1].features_D, again[5].trajectories[1].features_D)


def test_labels_follow_quality_but_for_the_flips() -> None:
    def share(world: Showy) -> float:
        right = [
            (g.trajectories[0].utility > g.trajectories[1].utility) == (g.rewards[0].value == 1.0)  # type: ignore[union-attr]
            for g in labelled(world, 0, 0)
        ]
        return sum(right) / len(right)

    assert 0.7 < share(WORLD) < share(replace(WORLD, flips=0.0)) < 1.0


def test_only_what_is_learnt_from_ties_showiness_to_quality() -> None:
    long = [
        (g.trajectories[0].num_steps > g.trajectories[1].num_steps) == (g.rewards[0].value == 1.0)  # type: ignore[union-attr]
        for g in labelled(WORLD, 0, 0)
    ]
    assert sum(long) / len(long) > 0.55
    found = candidates(WORLD, 0)
    assert found.quality_N.shape == (2000,)
    assert abs(float(torch.corrcoef(torch.stack([found.showy_N, found.quality_N]))[0, 1])) < 0.08
    questions = found.asked_NQ.view(50, 40, -1)
    assert torch.equal(questions[:, 0], questions[:, 39])
    harmed = found.gold_N < found.quality_N
    assert torch.equal(harmed, found.showy_N > 1.5)


def test_a_bonus_is_what_the_annotator_adds() -> None:
    plain, showy = (
        [g.rewards[0].value for g in labelled(Showy(num_train=500, correlation=0.0, bonus=b), 0, 0)]  # type: ignore[union-attr]
        for b in (0.0, 3.0)
    )
    assert plain != showy
    assert (length(0.0), length(1.0), length(-1.0)) == (100, 200, 50)
