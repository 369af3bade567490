"""Steps from noise to a picture: diffusers' own, DDPO's deviation, a flow whose marginals stay."""

import math

import pytest
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler

from stablereward.policies.denoising import Ddim, FlowSde, logprob, noise_of
from stablereward.policies.tiny_diffusion import ddim


def clean() -> DDIMScheduler:
    """A schedule that ends in a clean picture."""
    return DDIMScheduler(clip_sample=False)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("make", [ddim, clean])
def test_a_step_is_that_of_diffusers(make, eta: float) -> None:
    schedule, theirs = Ddim(make(), 10, eta), make()
    theirs.set_timesteps(10)
    state, prediction, noise = torch.randn(3, 2, 4, 3, 3)
    for step, time in enumerate(theirs.timesteps):
        ours = schedule.mean(step, prediction, state) + schedule.stds[step] * noise
        given = {"variance_noise": noise} if eta else {}
        expected = theirs.step(prediction, time, state, eta=eta, **given).prev_sample
        torch.testing.assert_close(ours, expected)


def test_the_last_step_has_no_noise_only_where_it_ends_in_a_clean_picture() -> None:
    assert Ddim(clean(), 10, 1.0).stds[-1] == 0 and min(Ddim(clean(), 10, 1.0).stds[:-1]) > 0
    assert Ddim(ddim(), 50, 1.0).stds[-1] == pytest.approx(0.0206, abs=1e-3)
    assert set(Ddim(ddim(), 10, 0.0).stds) == {0}


def test_the_deviation_is_the_formula() -> None:
    """sigma² = (1 - a') / (1 - a) (1 - a / a') from step 901 to 801."""
    scheduler = ddim()
    signal, left = (float(scheduler.alphas_cumprod[time]) for time in (901, 801))
    assert Ddim(scheduler, 10, 1.0).stds[0] ** 2 == pytest.approx(
        (1 - left) / (1 - signal) * (1 - signal / left)
    )


def test_a_log_probability_is_the_mean_over_the_numbers() -> None:
    state, mean = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    expected = torch.distributions.Normal(mean, 0.3).log_prob(state).flatten(1).mean(1)
    torch.testing.assert_close(logprob(state, mean, 0.3), expected)


@pytest.mark.parametrize(
    ("num_steps", "level", "expected"),
    [
        (10, 0.7, 0.480),
        (40, 0.7, 0.497),
        (200, 0.7, 0.502),
        (10, 0.0, 0.431),
        (40, 0.0, 0.482),
        (200, 0.0, 0.496),
    ],
)
def test_a_flow_with_noise_keeps_a_gaussian(num_steps: int, level: float, expected: float) -> None:
    """x0 ~ N(0, 0.5²): the velocity is known, and the output's deviation is that of the notes."""
    schedule = FlowSde(FlowMatchEulerDiscreteScheduler(), num_steps, level)
    generator = torch.Generator().manual_seed(0)
    state = torch.randn(200_000, generator=generator)
    for step, std in enumerate(schedule.stds):
        share = schedule.shares[step]
        # v = E[noise - x0 | x] with x = (1 - s) x0 + s noise.
        velocity = state * (share - (1 - share) * 0.25) / ((1 - share) ** 2 * 0.25 + share**2)
        state = schedule.mean(step, velocity, state)
        state = state + std * torch.randn(len(state), generator=generator)
    assert float(state.std()) == pytest.approx(expected, abs=0.012)


def test_noise_is_a_function_of_the_seed() -> None:
    assert torch.equal(noise_of(7, 3, (1, 2, 2)), noise_of(7, 3, (1, 2, 2)))
    assert noise_of(7, 3, (1, 2, 2)).shape == (4, 1, 2, 2)
    assert math.isclose(float(noise_of(-(2**63), 3, (4, 50, 50)).std()), 1, abs_tol=0.02)
