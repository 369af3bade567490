"""Policies that learn from pairs of their own right and wrong solutions, round after round: what such recipes
share.

`judges/crew.py` is one.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from stablereward.data.preferences import read_preferences
from stablereward.engines.engine import Sampling
from stablereward.evaluation.choosing import selected, solved, with_answers_exchanged
from stablereward.judges.likelihood import Likelihood, mean_logprob
from stablereward.policies.completions import Answered
from stablereward.policies.token import TokenPolicy
from stablereward.ranges import Count, Number, Size, require_ranges
from stablereward.recipes import works as stages
from stablereward.recipes import writers
from stablereward.recipes.pairs import mined
from stablereward.recipes.problems import answer_span, questions, verifier
from stablereward.recipes.pupils import writer
from stablereward.recipes.rounds import AnyGroup
from stablereward.recipes.stages import Hardware, Lora
from stablereward.recipes.writers import STAGE, Make, require_asked
from stablereward.rewards.reward import Sample
from stablereward.runs.folder import RunFolder
from stablereward.training.direct import DPOConfig
from stablereward.training.learner import Learner
from stablereward.training.mining import any_pairs, widest
from stablereward.training.planning import Drawing, Work
from stablereward.types import Failure, Preference, Reward
from stablereward.worlds.sums.choices import choices

RIGHT = "right"
"""The part of a reward that says whether the answer is right."""

Scored = Callable[[Sequence[Answered]], Sequence[float | Failure]]
"""What scores solutions, in the order of the groups."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Of each question `num` pairs of a right and a wrong solution: those whose scores are furthest apart, or
    any, which is the control of the scores."""

    order: Literal["widest", "random"] = "widest"
    num: Count = 10

    def __post_init__(self) -> None:
        require_ranges(self)

    def mine(self, groups: Sequence[AnyGroup], seed: int) -> list[AnyGroup]:
        """Those of all groups, the right one first."""
        taken = partial(any_pairs, rng=random.Random(seed)) if self.order == "random" else widest
        return [pair for group in groups for pair in taken(group, is_right, self.num)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Solving:
    """`iterations` times `sampling` for `prompts_per_iteration` questions, `pairs` of them and `dpo`.

    Questions are those of a file with answers, of which `num_held_out` are measured on, with `num_votes`
    solutions each; `solutions` are preferences with one right response each, to select from. With `sums` all
    of it is the world's.
    """

    model: str
    data: Path | None = None
    solutions: Path | None = None
    sums: bool = False
    num_held_out: Count = 256
    output: Path
    pairs: Pairs = field(default_factory=Pairs)
    iterations: Count = 2
    prompts_per_iteration: Count = 7500
    sampling: Sampling = field(default_factory=Sampling)
    num_votes: Size = 16
    dpo: DPOConfig = field(default_factory=DPOConfig)
    lora: Lora | None = None
    hardware: Hardware = field(default_factory=Hardware)
    seed: Number = 0

    def __post_init__(self) -> None:
        require_ranges(self)


def is_right(reward: Reward) -> bool:
    """What the verifier said of a solution when it was rewarded."""
    return reward.parts[RIGHT] > 0.5


def iterations(config: Solving, folder: RunFolder, policy: TokenPolicy, scored: Scored) -> Learner:
    """Solutions sampled, scored and verified, and DPO on pairs of them."""
    known = questions(config)
    right = verifier(config, known)

    def reward(group: Answered) -> list[Reward | Failure]:
        scores = scored([group])
        verdicts = [right(group.prompt, one.text) for one in group.trajectories]
        return [
            score if isinstance(score, Failure) else Reward(value=score, parts={RIGHT: float(verdict)})
            for score, verdict in zip(scores, verdicts, strict=True)
        ]

    def seen(sample: Sample) -> float:
        return float(right(sample.prompt, sample.completion.text))

    return mined(
        folder,
        STAGE,
        writer(policy, config.sampling),
        [one.prompt for one in known],
        reward,
        config.pairs.mine,
        config.dpo,
        num_rounds=config.iterations,
        prompts_per_round=config.prompts_per_iteration,
        pairs_per_prompt=config.pairs.num,
        seed=config.seed,
        monitors={"answers/right": seen},
    )


def to_select_from(config: Solving) -> list[Preference]:
    """One right solution among wrong ones, of held-out problems; none where no file is named."""
    if config.sums:
        return choices(config.num_held_out, seed=config.seed)
    return [] if config.solutions is None else list(read_preferences(config.solutions))


SHOWN = {
    "accuracy": ("accuracy", "share of right solutions to held-out problems, sampled"),
    "vote": ("vote", "the same of a plain vote"),
    "weighted_vote": ("weighted_vote", "the same of a vote weighted by CRew"),
    "best_of_n": ("best_of_n", "the same of the solution of highest CRew"),
}
SELECTED = {
    "selection": ("selection", "share of right solutions found by CRew among one right and nine wrong"),
    "selection_shuffled": ("selection_shuffled", "the same with answers dealt anew among the ten"),
    "selection_perplexity": ("selection_perplexity", "the same found by the mean log-probability of a token"),
}


def measured(policy: TokenPolicy, judge: Likelihood, config: Solving) -> dict[str, float]:
    """How well the policy solves, and selects by what the judge reads, by name."""
    span, known = answer_span(config), questions(config, held_out=True)
    sampling = replace(config.sampling, num_generations=config.num_votes, seed=config.seed)
    found = solved(policy, judge, known, verifier(config, known), sampling, span)
    if shown := to_select_from(config):
        rng = random.Random(config.seed)
        found["selection"] = selected(judge, shown)
        found["selection_shuffled"] = selected(judge, [with_answers_exchanged(p, span, rng) for p in shown])
        found["selection_perplexity"] = selected(replace(judge, read=mean_logprob), shown)
    return found


def run(
    name: str, config: Solving, make: Make, judge: Callable[[TokenPolicy], Likelihood], *, resume: bool
) -> Path:
    """Trains and measures; returns the run folder, with the policy in `policy/`."""
    require_asked(questions(config, held_out=True))
    shown = SHOWN | (SELECTED if to_select_from(config) else {})
    return writers.run(
        name, config, make, lambda policy: measured(policy, judge(policy), config), shown, resume=resume
    )


def works(config: Solving) -> list[Work]:
    """Training and measurement as a planner of memory sees them."""
    length, num = config.sampling.max_completion_length, config.sampling.num_generations
    drawing = Drawing(group=num, completion=length, prompts=config.prompts_per_iteration)
    training = stages.preferring(STAGE, config, config.dpo, length, drawing)
    return [training, stages.writing("measurement", length, config.num_votes)]
