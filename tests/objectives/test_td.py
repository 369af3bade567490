"""Returns of n steps and targets of a critic, by hand."""

import pytest
import torch

from stablereward.objectives.td import n_step, smoothed, td_target

REWARDS = torch.tensor([1.0, 2.0, 4.0])


def windows(over: list[int], terminated: list[int]) -> tuple[float, float, int]:
    flags = torch.tensor([over, terminated]).bool()[:, :, None]
    returns, worth, last = n_step(REWARDS[:, None], flags[0], flags[1], gamma=0.5)
    return returns.item(), worth.item(), last.item()


def test_three_steps_under_way() -> None:
    """1 + 0.5 · 2 + 0.25 · 4, then gamma³."""
    assert windows([0, 0, 0], [0, 0, 0]) == (3.0, 0.125, 2)


def test_nothing_comes_after_the_end() -> None:
    assert windows([0, 1, 0], [0, 1, 0]) == (2.0, 0.0, 1)
    assert windows([1, 0, 1], [1, 0, 1]) == (1.0, 0.0, 0)
    assert windows([0, 0, 1], [0, 0, 1]) == (3.0, 0.0, 2)


def test_a_time_out_goes_on() -> None:
    """The return stops there, and the state there is worth gamma to the steps that were taken."""
    assert windows([0, 1, 0], [0, 0, 0]) == (2.0, 0.25, 1)
    assert windows([1, 1, 1], [0, 1, 1]) == (1.0, 0.5, 0)


def test_rows_do_not_mix() -> None:
    over = torch.tensor([[0, 1], [0, 0], [0, 0]]).bool()
    returns, worth, last = n_step(REWARDS[:, None].expand(3, 2), over, over, gamma=0.5)
    assert returns.tolist() == [3.0, 1.0] and worth.tolist() == [0.125, 0.0] and last.tolist() == [2, 0]


def test_a_target_takes_the_least_head() -> None:
    values_NB = torch.tensor([[4.0, 1.0, 9.0], [2.0, 3.0, 9.0]])
    target = td_target(torch.tensor([1.0, 0.0, 1.0]), torch.tensor([0.5, 0.25, 0.0]), values_NB)
    assert target.tolist() == [2.0, 0.25, 1.0]


def test_noise_is_clipped_and_actions_stay_actions() -> None:
    done = smoothed(torch.tensor([0.0, 0.9, -0.5]), torch.tensor([1.0, 0.2, -0.1]), clip=0.3)
    assert done.tolist() == pytest.approx([0.3, 1.0, -0.6])
