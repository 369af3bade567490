import inspect
from pathlib import Path

import pytest
import torch

from stablereward.objectives import named, reductions
from stablereward.objectives.advantages import Signals, sigma_filter
from stablereward.objectives.divergences import k3
from stablereward.objectives.objective import Objective
from stablereward.objectives.ratios import pre_clipped_ratio, sequence_ratio


def test_all_lists_every_named_objective():
    public = [
        function
        for name, function in vars(named).items()
        if inspect.isfunction(function) and inspect.signature(function).return_annotation is Objective
    ]
    assert list(named.ALL) == public


@pytest.mark.parametrize("make", named.ALL, ids=lambda make: make.__name__)
def test_an_objective_carries_its_own_name_and_a_link(make):
    objective = make()
    assert objective.name == make.__name__
    assert objective.link.startswith("https://")


# Two prompts, two answers each; answers of 1, 3, 2 and 2 tokens; right, wrong, right, right.
SIGNALS = Signals(
    rewards_B=torch.tensor([2.0, 0.5, 2.0, 2.0]),
    groups_B=torch.tensor([0, 0, 1, 1]),
    mask_BT=torch.tensor([[1, 0, 0], [1, 1, 1], [1, 1, 0], [1, 1, 0]], dtype=torch.bool),
    values_BT=torch.full((4, 3), 1.0),
    greedy_rewards_B=torch.tensor([2.0, 2.0, 0.5, 0.5]),
)
HALF = 0.5**0.5

EXPECTED = {
    "reinforce": [2.0, 0.5, 2.0, 2.0],
    "reinforce_plus_plus": [0.7746, -1.2910, 0.7746, 0.7746],
    "reinforce_plus_plus_baseline": [1.8898, -1.1339, 0.3780, 0.3780],
    "stable_reinforce": [0.7746, -1.2910, 0.7746, 0.7746],
    "grpo": [HALF, -HALF, 0.0, 0.0],
    "dr_grpo": [0.75, -0.75, 0.0, 0.0],
    "dapo": [HALF, -HALF, 0.0, 0.0],
    "gspo": [HALF, -HALF, 0.0, 0.0],
    "cispo": [HALF, -HALF, 0.0, 0.0],
    "rloo": [1.5, -1.5, 0.0, 0.0],
    "remax": [0.0, -1.5, 1.5, 1.5],
    "ddpo": [HALF, -HALF, 0.0, 0.0],
}


@pytest.mark.parametrize("name", EXPECTED)
def test_advantages_on_the_same_four_answers(name):
    values_BT = getattr(named, name)().advantage(SIGNALS).values_BT
    expected_BT = torch.where(SIGNALS.mask_BT, torch.tensor(EXPECTED[name])[:, None], 0.0)
    torch.testing.assert_close(values_BT, expected_BT, rtol=2e-4, atol=1e-6)


def test_ppo_advantages_differ_along_an_answer():
    raw = torch.tensor([1.0, -0.5 * 0.95**2, -0.5 * 0.95, -0.5, 0.95, 1.0, 0.95, 1.0])
    expected = (raw - raw.mean()) / raw.std(correction=0)
    torch.testing.assert_close(named.ppo().advantage(SIGNALS).values_BT[SIGNALS.mask_BT], expected)


@pytest.mark.parametrize("name", ["reinforce", "remax", "rloo", "reinforce_plus_plus", "stable_reinforce"])
def test_the_pull_in_the_reward_lowers_what_is_said_more_often_than_by_the_reference(name):
    """Equal rewards; the policy says the first answer's token e^0.5 times as often as the reference does."""
    signals = Signals(
        rewards_B=torch.tensor([1.0, 1.0]),
        groups_B=torch.tensor([0, 0]),
        mask_BT=torch.ones(2, 1, dtype=torch.bool),
        reference_log_ratio_BT=torch.tensor([[0.5], [0.0]]),
        greedy_rewards_B=torch.tensor([0.0, 0.0]),
    )
    expected = {
        "reinforce": [1 - 0.2 * 0.5, 1.0],
        "remax": [1 - 0.2 * 0.5, 1.0],
        "rloo": [-0.2 * 0.5, 0.2 * 0.5],
    }
    values_BT = getattr(named, name)(beta=0.2).advantage(signals).values_BT
    assert values_BT[:, 0].tolist() == pytest.approx(expected.get(name, [-1.0, 1.0]), rel=1e-4)


def loss_of(objective, log_ratio, advantage):
    """The loss of one token."""
    old_BT, mask_BT = torch.full((1, 1), -1.0), torch.ones(1, 1, dtype=torch.bool)
    advantages_BT = torch.full((1, 1), advantage)
    weights_BT = objective.reduction(mask_BT)
    return objective.loss(old_BT + log_ratio, old_BT, advantages_BT, weights_BT, mask_BT).value.item()


def test_arguments_reach_their_parts():
    assert loss_of(named.stable_reinforce(), 9.9, -1.0) == pytest.approx(1000, rel=1e-4)
    assert loss_of(named.stable_reinforce(ratio=pre_clipped_ratio(1e-3, 10.0)), 9.9, -1.0) == pytest.approx(
        10, rel=1e-4
    )
    assert loss_of(named.stable_reinforce(dual_clip=3.0), 9.9, -1.0) == pytest.approx(3)
    assert loss_of(named.stable_reinforce(epsilon=0.5), 9.9, 1.0) == pytest.approx(-1.5)
    assert loss_of(named.dapo(), 9.9, 1.0) == pytest.approx(-1.28)
    assert loss_of(named.gspo(), 9.9, 1.0) == pytest.approx(-1.0004, rel=1e-6)
    assert loss_of(named.dr_grpo(length=10), 9.9, 1.0) == pytest.approx(-0.12)
    assert loss_of(named.cispo(ratio_max=4.0), 2.0, 1.0) == pytest.approx(-4.0)


def test_sigmas_reach_the_filter():
    wide, narrow = named.stable_reinforce(), named.stable_reinforce(keep=sigma_filter(1.0))
    assert wide.advantage(SIGNALS).metrics["advantages/filtered"].item() == 0.0
    assert narrow.advantage(SIGNALS).metrics["advantages/filtered"].item() == pytest.approx(3 / 8)


def test_gspo_clips_the_sequence_not_the_token():
    mask_BT = torch.ones(1, 2, dtype=torch.bool)
    old_BT, logprobs_BT = torch.tensor([[-1.0, -1.0]]), torch.tensor([[-3.0, 1.0]])
    loss = named.gspo().loss(logprobs_BT, old_BT, torch.ones(1, 2), mask_BT / 2, mask_BT)
    assert loss.value.item() == pytest.approx(-1.0)
    assert loss.metrics["policy/ratio_clip_high"].item() == 0.0


PAGE = (Path(__file__).parents[2] / "docs" / "objectives.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("make", named.ALL, ids=lambda make: make.__name__)
def test_the_page_has_a_row_for_every_objective(make):
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{make.__name__}` |")]
    assert f"({make().link})" in row


REDUCTIONS = {
    "token mean": reductions.token_mean,
    "sequence mean of token means": reductions.sequence_mean_token_mean,
    "sequence mean of token sums": reductions.sequence_mean_token_sum,
    "token sum / 3000, sequence mean": reductions.fixed_length(3000),
}


@pytest.mark.parametrize("make", named.ALL, ids=lambda make: make.__name__)
def test_the_pages_row_is_what_the_objective_does(make):
    objective = make()
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{make.__name__}` |")]
    *_, ratio, _, reduction, pull, _, _ = (cell.strip() for cell in row.split("|"))
    expected_BT = REDUCTIONS[reduction](SIGNALS.mask_BT)
    torch.testing.assert_close(objective.reduction(SIGNALS.mask_BT), expected_BT)
    assert ("metrics only" in ratio) == objective.on_policy
    assert ratio.startswith("sequence") == (objective.ratio is sequence_ratio)
    if pull == "loss k3, β 0.04":
        assert objective.divergence is k3 and objective.beta == 0.04
    else:
        assert pull in ("none", "reward, β 0") and objective.divergence is None and objective.beta == 0.0


def test_the_pages_example_runs():
    scope = {}
    exec(PAGE.split("```python\n")[1].split("```")[0], scope)
    assert scope["logprobs_BT"].grad[scope["mask_BT"]].abs().min() > 0
