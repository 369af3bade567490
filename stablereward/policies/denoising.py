"""The arithmetic of denoising: how a state follows from a state, as a mean and a deviation for each step.

    x' = mean(x, prediction) + std · noise
    log p(x' | x) = mean over the numbers of log N(x'; mean, std²)

Log-probabilities are means over the numbers of a state, not sums, as in DDPO
(https://arxiv.org/abs/2305.13301): published clips such as 1e-4 take that for granted.
"""

import math
from typing import Any, Protocol

import torch
from torch import Tensor


class Schedule(Protocol):
    """The steps from noise to an output, numbered from 0. A deviation of 0 is a step without choice."""

    times: tuple[float, ...]
    stds: tuple[float, ...]

    def mean(self, step: int, prediction: Tensor, state: Tensor) -> Tensor:
        """Where the step leads before its noise is added."""
        ...

    def clean(self, step: int, prediction: Tensor, state: Tensor) -> Tensor:
        """The end of the path as the prediction has it, in one step."""
        ...


class Ddim:
    """DDIM with noise `eta`, https://arxiv.org/abs/2010.02502: 0 is deterministic, 1 is DDPM's noise.

    The step itself is that of diffusers' scheduler, whatever the model predicts. Its deviation is
    sigma² = eta² (1 - a') / (1 - a) (1 - a / a'), a and a' the share of signal before and after. The last
    step has none where the scheduler ends in a clean picture (`set_alpha_to_one`).
    """

    def __init__(self, scheduler: Any, num_steps: int, eta: float) -> None:
        scheduler.set_timesteps(num_steps)
        self.scheduler, self.eta = scheduler, eta
        self.times = tuple(float(time) for time in scheduler.timesteps)
        self.stds = tuple(map(self._std, scheduler.timesteps.tolist()))

    def mean(self, step: int, prediction: Tensor, state: Tensor) -> Tensor:
        return self._step(step, prediction, state)[0]

    def clean(self, step: int, prediction: Tensor, state: Tensor) -> Tensor:
        return self._step(step, prediction, state)[1]

    def _step(self, step: int, prediction: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        no_noise = torch.zeros_like(state) if self.eta > 0 else None
        found: tuple[Tensor, Tensor] = self.scheduler.step(
            prediction,
            int(self.times[step]),
            state,
            eta=self.eta,
            variance_noise=no_noise,
            return_dict=False,
        )
        return found

    def _std(self, time: int) -> float:
        scheduler = self.scheduler
        before = time - scheduler.config.num_train_timesteps // scheduler.num_inference_steps
        signal = float(scheduler.alphas_cumprod[time])
        left = float(scheduler.alphas_cumprod[before] if before >= 0 else scheduler.final_alpha_cumprod)
        return self.eta * math.sqrt(max(0.0, (1 - left) / (1 - signal) * (1 - signal / left)))


class FlowSde:
    """A rectified flow's velocity with noise `level` added and its drift corrected, so that every marginal
    stays as it was. Flow-GRPO, https://arxiv.org/abs/2505.05470; level 0 is Euler's method.

    With s the share of noise: sigma = level sqrt(s / (1 - s)), and at s = 1 the share after the step stands
    in that divisor. The last step adds no noise, so that the output is clean.
    """

    def __init__(self, scheduler: Any, num_steps: int, level: float) -> None:
        scheduler.set_timesteps(num_steps)
        self.shares = tuple(scheduler.sigmas.tolist())
        self.times = tuple(float(time) for time in scheduler.timesteps)
        self.sigmas = tuple(level * math.sqrt(s / (1 - min(s, self.shares[1]))) for s in self.shares[:-1])
        self.stds = tuple(
            0.0 if after == 0 else sigma * math.sqrt(share - after)
            for sigma, share, after in zip(self.sigmas, self.shares, self.shares[1:], strict=False)
        )

    def mean(self, step: int, prediction: Tensor, state: Tensor) -> Tensor:
        share, after = self.shares[step : step + 2]
        if self.stds[step] == 0.0:
            drift = prediction
        else:
            pull = self.sigmas[step] ** 2 / (2 * share)
            drift = pull * state + (1 + pull * (1 - share)) * prediction
        moved: Tensor = state + (after - share) * drift
        return moved

    def clean(self, step: int, prediction: Tensor, state: Tensor) -> Tensor:
        end: Tensor = state - self.shares[step] * prediction
        return end


def logprob(state: Tensor, mean: Tensor, std: float) -> Tensor:
    """[B]: the log-density of each state, as the mean over its numbers."""
    return (
        -((state - mean) ** 2).flatten(1).mean(1) / (2 * std**2) - math.log(std) - 0.5 * math.log(2 * math.pi)
    )


def noise_of(seed: int, num_steps: int, shape: tuple[int, ...]) -> Tensor:
    """The start of a path and the noise of each of its steps, [T + 1, ...]: a function of the seed alone."""
    return torch.randn(num_steps + 1, *shape, generator=torch.Generator().manual_seed(seed))
