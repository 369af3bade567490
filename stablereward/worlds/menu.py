"""Prompts with a menu of answers each: a policy that is a few numbers, and a hidden utility.

An answer has random features φ. A policy takes it with probability softmax(θ·φ), so what is learnt on one
prompt holds on all; its utility is g·φ, which nobody who trains is told. Rounds of self-training take a
second. Who shows how it is done has a bias b beside g, and so has the policy that begins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from stablereward.policies.policy import Family, Scored
from stablereward.ranges import NotNegative, Size, require_ranges
from stablereward.types import Failure, Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Menu:
    """The world's settings: demonstrations are drawn by softmax(`sharpness` · w·φ), w = g + `bias` · b, and
    the policy begins with `begun` · w. g and b are of unit size and at right angles.
    """

    num_prompts: Size = 20
    num_answers: Size = 30
    features: Size = 12
    bias: NotNegative = 0.5
    begun: NotNegative = 0.3
    sharpness: NotNegative = 1.0
    num_demonstrations: Size = 20

    def __post_init__(self) -> None:
        require_ranges(self)


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt, by its number."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """A trajectory of one step: the answer that was taken."""

    answer: int
    logprobs: tuple[float, ...] = ()
    num_steps: int = 1
    finished: bool = True


class Shop:
    """What a seed fixes: features [P, N, D] of unit size, and the utilities [P, N] of all answers."""

    def __init__(self, menu: Menu, seed: int) -> None:
        self.menu, self.seed = menu, 2 * seed
        drawn = torch.Generator().manual_seed(self.seed)
        shape = (menu.num_prompts, menu.num_answers, menu.features)
        self.features_PND = torch.randn(shape, generator=drawn)
        gold_D, bias_D = torch.randn((2, menu.features), generator=drawn)
        gold_D = gold_D / gold_D.norm()
        bias_D = bias_D - (bias_D @ gold_D) * gold_D
        self.wanted_D = gold_D + menu.bias * bias_D / bias_D.norm()
        self.utilities_PN = self.features_PND @ gold_D
        self.prompts = [Asked(number) for number in range(menu.num_prompts)]

    def demonstrations(self) -> list[Group[Asked, Pick]]:
        """What is shown, prompt after prompt."""
        drawn = torch.Generator().manual_seed(self.seed + 1)
        shares_PN = (self.menu.sharpness * self.features_PND @ self.wanted_D).softmax(-1)
        found = []
        for number in range(self.menu.num_demonstrations):
            prompt = self.prompts[number % len(self.prompts)]
            answer = int(torch.multinomial(shares_PN[prompt.number], 1, generator=drawn))
            found.append(Group(prompt=prompt, trajectories=(Pick(answer=answer),)))
        return found


class Picker(nn.Module):
    """A policy that picks from menus, of which all is known."""

    def logprobs(self) -> Tensor:
        """Of every answer to every prompt, [P, N]."""
        raise NotImplementedError

    def family(self) -> Family[Asked, Pick]:
        """How training sees it."""

        def score(groups: Sequence[Group[Asked, Pick]]) -> Scored:
            taken = [(group.prompt.number, t.answer) for group in groups for t in group.trajectories]
            prompts, answers = map(list, zip(*taken, strict=True))
            return Scored(self.logprobs()[prompts, answers][:, None])

        return Family(
            score=score,
            costs=lambda groups: [len(group.trajectories) for group in groups],
            describe=lambda pick: {"answers/number": float(pick.answer)},
            show=lambda pick: {"text": f"answer {pick.answer}"},
            show_prompt=lambda asked: {"question": f"prompt {asked.number}"},
        )

    @torch.no_grad()
    def sample(self, prompts: Sequence[Asked], seed: int, *, num: int) -> list[tuple[Pick, ...] | Failure]:
        """`num` answers to each prompt, as a `policies.policy.Sampler` gives them."""
        drawn = torch.Generator().manual_seed(seed % 2**63)
        logprobs_PN = self.logprobs()
        found: list[tuple[Pick, ...] | Failure] = []
        for asked in prompts:
            own_N = logprobs_PN[asked.number]
            taken = torch.multinomial(own_N.exp(), num, replacement=True, generator=drawn).tolist()
            found.append(tuple(Pick(answer=answer, logprobs=(float(own_N[answer]),)) for answer in taken))
        return found

    def save(self, folder: Path) -> None:
        """Writes what is learnt."""
        raise NotImplementedError


class Taste(Picker):
    """The policy: θ, of which nothing else is learnt."""

    def __init__(self, shop: Shop) -> None:
        super().__init__()
        self.shop = shop
        self.theta_D = nn.Parameter(shop.menu.begun * shop.wanted_D)

    def logprobs(self) -> Tensor:
        """Of every answer to every prompt, [P, N]."""
        return (self.shop.features_PND @ self.theta_D).log_softmax(-1)

    def utility(self) -> float:
        """What its answers are worth, the exact mean over all prompts."""
        with torch.no_grad():
            return float((self.logprobs().exp() * self.shop.utilities_PN).sum(-1).mean())

    def save(self, folder: Path) -> None:
        """Writes θ."""
        save_file({"theta": self.theta_D.detach()}, folder / "theta.safetensors")


def row(pick: Pick) -> dict[str, Any]:
    """JSON of what was done."""
    return {"answer": pick.answer}


def pick(kept: Mapping[str, Any]) -> Pick:
    """What was done, of its JSON."""
    return Pick(answer=kept["answer"])
