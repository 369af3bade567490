"""Ranked answers of the world of menus: pairs that a reward model has scored, and what they teach."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import torch

from stablereward.evaluation.frontier import reached
from stablereward.ranges import NotNegative, Positive, Size, require_ranges
from stablereward.runs.figures import Figure
from stablereward.types import Group, Reward
from stablereward.worlds.menu import Asked, Menu, Pick, Shop, Taste

GOLD, KL = "world/gold", "world/kl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """What the world's pairs are: each prompt's `answers`, of which every pair is labelled by Bradley-Terry
    from `sharpness` times the utilities; the reward model errs by `noise`. Figures are read at `kl` nats."""

    menu: Menu = field(default_factory=Menu)
    answers: Size = 5
    sharpness: Positive = 1.0
    noise: NotNegative = 0.5
    kl: Positive = 0.5

    def __post_init__(self) -> None:
        require_ranges(self)


def ranked_pairs(shop: Shop, config: Ranked, seed: int) -> list[Group[Asked, Pick]]:
    """Pairs of the world, the one that was preferred first, with the reward model's scores."""
    rng = random.Random(seed)
    found = []
    for prompt in shop.prompts:
        utilities = shop.utilities_PN[prompt.number].tolist()
        scores = [one + rng.gauss(0, config.noise) for one in utilities]
        for a, b in combinations(rng.sample(range(len(utilities)), config.answers), 2):
            won = rng.random() < 1 / (1 + math.exp(config.sharpness * (utilities[b] - utilities[a])))
            order = (a, b) if won else (b, a)
            taken = tuple(Pick(answer=one) for one in order)
            rewards = tuple(Reward(value=scores[one]) for one in order)
            found.append(Group(prompt=prompt, trajectories=taken, rewards=rewards))
    return found


def watched(taste: Taste) -> Callable[[object], dict[str, float]]:
    """Measures the utility of a policy's answers and its KL to what it now is, in nats; both are exact."""
    start_PN = taste.logprobs().detach()

    @torch.no_grad()
    def figures(update: object) -> dict[str, float]:
        now_PN = taste.logprobs()
        return {
            GOLD: taste.utility(),
            KL: float((now_PN.exp() * (now_PN - start_PN)).sum(-1).mean()),
        }

    return figures


def course(rows: Sequence[Mapping[str, float]], config: Ranked) -> list[Figure]:
    """Of what was watched the utility where the KL first reached its mark, and both at the end."""
    path = [(row[KL], row[GOLD]) for row in rows]
    marked = reached(path, config.kl)
    at_kl = Figure(name="gold_at_kl", value=marked or 0.0, about="the utility at equal KL")
    return [
        *([] if marked is None else [at_kl]),
        Figure(name="gold", value=path[-1][1], about="mean hidden utility of an answer at the end"),
        Figure(name="gold_first", value=path[0][1], about="the same after one update"),
        Figure(name="kl", value=path[-1][0], about="KL to the start at the end, in nats"),
    ]
