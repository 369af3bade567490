"""One menu and many wishes: answers of two objectives that conflict, and a policy that is told a direction.

An answer is a point in a disc: its helpfulness and its verbosity. A direction v of degrees between -45 and 0
wants v·(helpfulness, verbosity): at 0 the helpful, at -45 the helpful and short alike. On the rim one is had
for the other only. Who rates the answers errs.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_model
from torch import Tensor, nn

from stablereward.evaluation.frontier import hypervolume
from stablereward.ranges import NotNegative, Size, require_ranges
from stablereward.worlds.menu import Asked, Picker

HELPFULNESS, VERBOSITY = "helpfulness", "verbosity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The world's settings: answers are spread evenly over the disc of radius 1, and ratings add normal noise
    of size `noise`; the policy is a network with one layer of `hidden` units."""

    num_answers: Size = 200
    noise: NotNegative = 0.1
    hidden: Size = 32

    def __post_init__(self) -> None:
        require_ranges(self)


@dataclass(frozen=True, slots=True)
class Wish(Asked):
    """A prompt: a direction, by its number and in degrees."""

    degrees: float


def direction(degrees: float) -> tuple[float, float]:
    """The unit vector v = (cos θ, sin θ): the weights of helpfulness and verbosity."""
    return math.cos(math.radians(degrees)), math.sin(math.radians(degrees))


class Rated:
    """What a seed fixes: of every answer the two objectives [N, 2], and how they are rated [N, 2]."""

    def __init__(self, wishes: Wishes, seed: int) -> None:
        drawn = torch.Generator().manual_seed(2 * seed)
        radii_N, angles_N = torch.rand((2, wishes.num_answers), generator=drawn)
        radii_N, angles_N = radii_N.sqrt(), 2 * math.pi * angles_N
        self.gold_N2 = torch.stack([radii_N * angles_N.cos(), radii_N * angles_N.sin()], 1)
        self.rated_N2 = self.gold_N2 + wishes.noise * torch.randn(self.gold_N2.shape, generator=drawn)

    def dominated(self, means_M2: Tensor) -> float:
        """The hypervolume of mean objectives (helpful, short), in that of all answers.

        It is above the lowest helpfulness and shortness of any answer.
        """
        sign_2 = torch.tensor([1.0, -1.0])
        lowest = (self.gold_N2 * sign_2).amin(0).tolist()
        areas = [
            hypervolume([(x, y) for x, y in (points * sign_2).tolist()], (lowest[0], lowest[1]))
            for points in (means_M2, self.gold_N2)
        ]
        return areas[0] / areas[1]


class Obliging(Picker):
    """The policy: a network from a direction to the logits of all answers, which begins evenly.

    With `apart` each of the `wishes` has a network of its own, and other directions get that of the nearest.
    """

    def __init__(self, settings: Wishes, wishes: Sequence[Wish], seed: int, *, apart: bool = False) -> None:
        super().__init__()
        self.degrees_P = torch.tensor([wish.degrees for wish in wishes])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = nn.Sequential(
                nn.Linear(2, settings.hidden), nn.Tanh(), nn.Linear(settings.hidden, settings.num_answers)
            )
        for parameter in net[-1].parameters():
            nn.init.zeros_(parameter)
        self.nets = nn.ModuleList(copy.deepcopy(net) for _ in (wishes if apart else wishes[:1]))

    def logprobs(self) -> Tensor:
        """Of every answer in every direction of training, [P, N]."""
        return self.at(self.degrees_P)

    def at(self, degrees_M: Tensor) -> Tensor:
        """The same for other directions, [M, N]."""
        radians_M = degrees_M.deg2rad()
        wishes_M2 = torch.stack([radians_M.cos(), radians_M.sin()], 1)
        if len(self.nets) == 1:
            return torch.log_softmax(self.nets[0](wishes_M2), -1)
        nearest = (degrees_M[:, None] - self.degrees_P).abs().argmin(1).tolist()
        logits = [self.nets[n](wish_2) for n, wish_2 in zip(nearest, wishes_M2, strict=True)]
        return torch.stack(logits).log_softmax(-1)

    @torch.no_grad()
    def means(self, degrees: Sequence[float], values_N2: Tensor) -> Tensor:
        """The exact mean of both objectives in each direction, [M, 2]."""
        return self.at(torch.tensor(degrees)).exp() @ values_N2

    def save(self, folder: Path) -> None:
        """Writes the networks."""
        save_model(self, str(folder / "nets.safetensors"))
