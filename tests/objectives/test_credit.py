"""Forms, returns and baselines of step scores, worked by hand."""

import math

import pytest
import torch
from torch import Tensor

from stablereward.objectives.advantages import Signals, leave_one_out
from stablereward.objectives.credit import (
    Form,
    clipped,
    clipped_delta,
    delta,
    mean_form,
    min_form,
    scaled,
    step_leave_one_out,
    step_returns,
    sum_form,
    token_leave_one_out,
    without_step_ends,
)

NAN = math.nan


def row(*scores: float) -> Tensor:
    return torch.tensor([scores])


def signals(steps: list[list[float]], rewards: list[float], lengths: list[int], groups: list[int]) -> Signals:
    longest = max(lengths)
    mask_BT = torch.arange(longest) < torch.tensor(lengths)[:, None]
    return Signals(
        rewards_B=torch.tensor(rewards),
        groups_B=torch.tensor(groups),
        mask_BT=mask_BT,
        steps_BT=torch.tensor(steps),
    )


def test_forms_by_hand() -> None:
    steps_BT = row(NAN, 0.9, NAN, 0.1, 0.5)
    torch.testing.assert_close(sum_form(steps_BT), row(0, 0.9, 0, 0.1, 0.5))
    torch.testing.assert_close(mean_form(steps_BT), row(0, 0.3, 0, 0.1 / 3, 0.5 / 3))
    torch.testing.assert_close(clipped(0.5)(steps_BT), row(0, 0, 0, -0.4, 0))
    torch.testing.assert_close(delta(steps_BT), row(0, 0.8, 0, 0.1, 0))
    torch.testing.assert_close(clipped_delta(0.5)(steps_BT), row(0, 0.4, 0, -0.4, 0))
    # Weights e^-9, e^-1, e^-5 over their sum.
    weights = [math.exp(-9), math.exp(-1), math.exp(-5)]
    total = sum(weights)
    expected = row(0, 0.9 * weights[0] / total, 0, 0.1 * weights[1] / total, 0.5 * weights[2] / total)
    torch.testing.assert_close(min_form(0.1)(steps_BT), expected)


@pytest.mark.parametrize(
    ("form", "paid"),
    [(sum_form, 18.8), (clipped(0.85), -0.05), (min_form(0.1), 0.8)],
    ids=["sum", "clip", "min"],
)
def test_repeating_a_good_step_pays_in_the_sum_only(form: Form, paid: float) -> None:
    """A first step of 0.8 and twenty of 0.9."""
    steps_BT = row(0.8, *[0.9] * 20)
    assert float(form(steps_BT).sum()) == pytest.approx(paid, abs=0.1 if form is not sum_form else 1e-4)


@pytest.mark.parametrize("form", [delta, clipped_delta(0.4)])
def test_delta_telescopes(form: Form) -> None:
    """The return from every step but the last is the score of that step."""
    scores = torch.tensor([0.3, 0.9, 0.2, 0.7])
    returns = form(scores[None])[0].flip(0).cumsum(0).flip(0)
    own = scores if form is delta else clipped(0.4)(scores[None])[0]
    torch.testing.assert_close(returns[:-1], own[:-1])
    assert returns[-1] == 0
    assert delta(row(0.5)).tolist() == [[0.0]] and delta(row(NAN, NAN)).tolist() == [[0.0, 0.0]]


def test_returns_with_an_outcome() -> None:
    data = signals([[NAN, 0.5, -0.25], [0.1, NAN, NAN]], [1.0, 0.0], [3, 1], [0, 0])
    returns_BT = step_returns(sum_form, outcome=2.0, outcome_baseline=leave_one_out)(data)
    # Outcomes 1 and 0 leave-one-out are 1 and -1; each is paid twice on the last token.
    torch.testing.assert_close(returns_BT, torch.tensor([[2.25, 2.25, 1.75], [-1.9, 0.0, 0.0]]))


def test_what_is_behind_the_end_of_a_trajectory_is_no_step() -> None:
    data = signals([[0.5, NAN], [0.1, 7.0]], [0.0, 0.0], [2, 1], [0, 0])
    torch.testing.assert_close(step_returns()(data), torch.tensor([[0.5, 0.0], [0.1, 0.0]]))


def test_baselines_by_hand() -> None:
    # Three of one prompt: steps of 2 + 1 tokens, of 2 and of 4; another prompt must not matter.
    steps = [[NAN, 0.4, 0.2, NAN], [NAN, 0.8, NAN, NAN], [NAN, NAN, NAN, 0.6], [9.0, NAN, NAN, NAN]]
    data = signals(steps, [0.0] * 4, [3, 2, 4, 1], [0, 0, 0, 1])
    assert data.steps_BT is not None
    rewards_BT = sum_form(data.steps_BT)
    found_BT = token_leave_one_out(rewards_BT, data.steps_BT, data)
    # Of the first's others: (0.8 + 0.6) / (2 + 4) a token.
    torch.testing.assert_close(found_BT[0], torch.tensor([0.0, 2 * 1.4 / 6, 1.4 / 6, 0.0]))
    torch.testing.assert_close(found_BT[2], torch.tensor([0.0, 0.0, 0.0, 4 * 1.4 / 5]))
    assert found_BT[3].tolist() == [0.0] * 4
    found_BT = step_leave_one_out(rewards_BT, data.steps_BT, data)
    torch.testing.assert_close(found_BT[0], torch.tensor([0.0, 0.7, 0.7, 0.0]))
    torch.testing.assert_close(found_BT[1], torch.tensor([0.0, 1.2 / 3, 0.0, 0.0]))
    # With it every trajectory of equal rewards a token has no advantage left.
    even = signals([[NAN, 0.2], [0.1, NAN]], [0.0] * 2, [2, 1], [0, 0])
    returns_BT = step_returns(sum_form, baseline=token_leave_one_out)(even)
    torch.testing.assert_close(returns_BT, torch.zeros(2, 2))


def test_without_steps_there_is_nothing_to_credit() -> None:
    data = signals([[0.0]], [1.0], [1], [0])._replace(steps_BT=None)
    with pytest.raises(ValueError, match="no steps_BT"):
        step_returns()(data)


def test_the_reference_costs_each_token() -> None:
    data = signals([[NAN, 0.5], [0.1, NAN]], [0.0, 0.0], [2, 1], [0, 0])
    data = data._replace(reference_log_ratio_BT=torch.tensor([[1.0, 2.0], [3.0, 9.0]]))
    torch.testing.assert_close(step_returns(beta=0.1)(data), torch.tensor([[0.2, 0.3], [-0.2, 0.0]]))


def test_where_a_step_ends_nothing_is_taught() -> None:
    data = signals([[NAN, 0.5, NAN, 0.25], [0.9, NAN, NAN, NAN]], [0.0, 0.0], [4, 1], [0, 0])
    found_BT = without_step_ends(step_returns(scaled(sum_form, 2.0)))(data)
    # The second has nothing but its end, and so learns nothing.
    torch.testing.assert_close(found_BT, torch.tensor([[1.5, 0.0, 0.5, 0.0], [0.0, 0.0, 0.0, 0.0]]))


def test_delta_pays_for_one_more_step_where_the_answer_could_end() -> None:
    """Each return is bounded, yet the choice to go on is paid the step's score and the choice to end is not:
    what was paid before, and is then taken back, lies on earlier tokens."""
    ends, goes_on = delta(row(0.8, 0.9, NAN, NAN)), delta(row(0.8, 0.9, NAN, 0.9))
    assert float(ends.sum()) == pytest.approx(float(goes_on.sum())) == pytest.approx(0.8)
    # The second token of both is the choice: the end token of one, the separator of the other.
    assert float(ends[0, 1:].sum()) == 0.0
    assert float(goes_on[0, 1:].sum()) == pytest.approx(0.9)
