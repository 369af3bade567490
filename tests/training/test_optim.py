from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import nn

from stablereward.training.optim import OptimConfig, adamw, learning_rate

CONFIG = OptimConfig(learning_rate=2.0, warmup=0.1, final=0.1)


@pytest.mark.parametrize(
    ("schedule", "update", "rate"),
    [
        ("cosine", 1, 0.2),
        ("cosine", 5, 1.0),
        ("cosine", 10, 2.0),
        ("cosine", 55, 2.0 * (0.1 + 0.9 * 0.5)),
        ("cosine", 40, 2.0 * (0.1 + 0.9 * 0.75)),  # a third of the way: cos 60° = 1/2
        ("cosine", 100, 0.2),
        ("linear", 10, 2.0),
        ("linear", 55, 2.0 * (0.1 + 0.9 * 0.5)),
        ("linear", 100, 0.2),
        ("constant", 3, 0.6),
        ("constant", 100, 2.0),
    ],
)
def test_rates_by_hand(schedule: Literal["cosine", "linear", "constant"], update: int, rate: float) -> None:
    assert learning_rate(replace(CONFIG, schedule=schedule), update, 100) == pytest.approx(rate)


def test_without_warmup_the_first_update_is_on_the_curve() -> None:
    assert learning_rate(replace(CONFIG, warmup=0.0, schedule="linear"), 1, 10) == pytest.approx(
        2.0 * (0.1 + 0.9 * 0.9)
    )


def test_a_run_of_one_update_has_a_rate() -> None:
    assert learning_rate(CONFIG, 1, 1) == 2.0
    assert learning_rate(replace(CONFIG, warmup=0.0), 1, 1) == pytest.approx(0.2)


def test_the_rate_rises_then_falls() -> None:
    rates = [learning_rate(CONFIG, update, 200) for update in range(1, 201)]
    assert rates[:20] == sorted(rates[:20])
    assert rates[19:] == sorted(rates[19:], reverse=True)
    assert max(rates) == 2.0 and min(rates) > 0


def test_adamw_takes_what_is_trained() -> None:
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    optimizer = adamw(layer.parameters(), replace(CONFIG, weight_decay=0.25, betas=(0.8, 0.9)))
    (settings,) = optimizer.param_groups
    assert settings["params"] == [layer.weight]
    assert (settings["lr"], settings["weight_decay"], settings["betas"]) == (2.0, 0.25, (0.8, 0.9))


def test_a_critic_learns_faster() -> None:
    policy, critic, apart = nn.Linear(2, 2), nn.Linear(2, 1), nn.Linear(2, 1)
    parameters = [*policy.parameters(), *critic.parameters()]
    optimizer = adamw(parameters, replace(CONFIG, critic_factor=7.0), critic=critic)
    groups = [(settings["params"], settings["factor"]) for settings in optimizer.param_groups]
    assert groups == [([*policy.parameters()], 1.0), ([*critic.parameters()], 7.0)]
    (settings,) = adamw(parameters, CONFIG, critic=apart).param_groups[:1]
    assert settings["factor"] == 1.0 and len(settings["params"]) == 4


def test_a_step_by_hand() -> None:
    parameter = nn.Parameter(torch.tensor([1.0]))
    optimizer = adamw([parameter], replace(CONFIG, learning_rate=0.1))
    parameter.grad = torch.tensor([3.0])
    optimizer.step()
    # The first step of Adam is the rate times the sign of the gradient.
    assert parameter.item() == pytest.approx(0.9, abs=1e-6)
