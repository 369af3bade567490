"""Policies of texts whose steps are scored: problems, a process reward, a credit rule, and what is watched.

`tokens/pure.py` and `tokens/clip_delta.py` are recipes of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Literal, TypeVar
from zlib import crc32

from stablereward.data.questions import Question
from stablereward.objectives import credit as rules
from stablereward.objectives.advantages import leave_one_out, no_baseline, whiten
from stablereward.objectives.estimators import compose
from stablereward.objectives.objective import Objective
from stablereward.objectives.ratios import token_ratio
from stablereward.objectives.reductions import sequence_mean_token_mean
from stablereward.objectives.surrogates import ppo_clip
from stablereward.policies.process_model import ProcessModel
from stablereward.policies.token import TokenPolicy
from stablereward.ranges import Count, NotNegative, Number, Positive, Proportion, require_ranges
from stablereward.recipes import works as stages
from stablereward.recipes import writers
from stablereward.recipes.completions import measured, reinforced
from stablereward.recipes.problems import questions
from stablereward.recipes.stages import Hardware, Lora, require_whole_batches
from stablereward.recipes.writers import STAGE, require_asked
from stablereward.rewards.boxed import is_answer
from stablereward.rewards.reward import Sample, each
from stablereward.rewards.steps import Steps, StepScores, Verdict, signed, step_reward
from stablereward.runs.figures import Figure
from stablereward.runs.folder import RunFolder
from stablereward.training.collect import Monitor
from stablereward.training.learner import Learner
from stablereward.training.optim import constant
from stablereward.training.planning import Work
from stablereward.training.policy_gradient import RLConfig, require_trainable
from stablereward.types import Prompt
from stablereward.worlds.sums.checker import solved
from stablereward.worlds.sums.problems import SEPARATOR
from stablereward.worlds.sums.process import step_scores

SMOOTHED = 5
"""Updates over which right answers are averaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """How step scores become advantages: the rule, times `weight`, less a baseline.

    Scores are probabilities p that a step is good, `signed` ones 2 p - 1, so that a bad step costs.
    `threshold` is Clip's, `temperature` that of the minimum. `beta` pulls to the start, in the reward.
    With `mask_step_ends` nothing is taught where a step ends; `whiten` is that of REINFORCE++.
    """

    signed: bool = True
    rule: Literal["min", "sum", "mean", "clip", "delta", "clip_delta"] = "min"
    weight: NotNegative = 1.0
    temperature: Positive = 0.1
    threshold: Proportion = 0.85
    baseline: Literal["token", "step", "none"] = "token"
    outcome_baseline: Literal["others", "none"] = "others"
    mask_step_ends: bool = True
    whiten: bool = False
    epsilon: Positive = 0.2
    beta: NotNegative = 0.0

    def __post_init__(self) -> None:
        require_ranges(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepwise:
    """What a recipe of scored steps sets; its `Config` has the paper's defaults.

    The problems are those of a file, with an answer where it is to be verified; `labelled` is the share of
    these whose answer is used. With `sums` problems and process reward are the world's.
    """

    model: str = "Qwen/Qwen2.5-Math-7B"
    process_model: str = "jinachris/PURE-PRM-7B"
    data: Path | None = None
    sums: bool = False
    separator: str = "\n\n"
    labelled: Proportion = 1.0
    num_held_out: Count = 256
    credit: Credit = field(default_factory=Credit)
    rl: RLConfig = field(default_factory=RLConfig)
    lora: Lora | None = None
    hardware: Hardware = field(default_factory=Hardware)
    output: Path = Path("runs/stepwise")
    seed: Number = 0

    def __post_init__(self) -> None:
        require_ranges(self)
        require_whole_batches(self.hardware, self.rl)
        require_trainable(objective(self.credit, 1.0), self.rl)


def objective(credit: Credit, outcome: float) -> Objective:
    """The policy gradient of the steps' credit, and of verified answers `outcome` times."""
    forms = {
        "min": rules.min_form(credit.temperature),
        "sum": rules.sum_form,
        "mean": rules.mean_form,
        "clip": rules.clipped(credit.threshold),
        "delta": rules.delta,
        "clip_delta": rules.clipped_delta(credit.threshold),
    }
    baselines = {
        "token": rules.token_leave_one_out,
        "step": rules.step_leave_one_out,
        "none": rules.no_step_baseline,
    }
    estimate = rules.step_returns(
        rules.scaled(forms[credit.rule], credit.weight),
        baseline=baselines[credit.baseline],
        outcome=outcome,
        outcome_baseline=leave_one_out if credit.outcome_baseline == "others" else no_baseline,
        beta=credit.beta,
    )
    return Objective(
        name=f"steps/{credit.rule}",
        link="https://arxiv.org/abs/2504.15275",
        advantage=compose(
            rules.without_step_ends(estimate) if credit.mask_step_ends else estimate,
            normalise=whiten if credit.whiten else None,
        ),
        ratio=token_ratio,
        surrogate=ppo_clip(epsilon_low=credit.epsilon, epsilon_high=credit.epsilon),
        reduction=sequence_mean_token_mean,
        beta=credit.beta,
        min_group=2,
    )


def is_labelled(config: Stepwise, one: Question) -> bool:
    """Whether training may look at the answer: by the problem's text, so that it is always the same ones."""
    return one.answer is not None and crc32(one.prompt.text.encode()) < config.labelled * 2**32


def verdict(config: Stepwise, answers: Mapping[str, str]) -> Verdict:
    """1 for the answer, 0 for another; None for a problem without."""

    def verified(prompt: Prompt, text: str) -> float | None:
        if prompt.text not in answers:
            return None
        return float(solved(prompt, text) if config.sums else is_answer(text, answers[prompt.text]))

    return verified


def monitors(config: Stepwise, steps: Steps, known: Sequence[Question]) -> dict[str, Monitor]:
    """The right answers, labelled or not, and by what hacking shows."""
    right = verdict(config, {one.prompt.text: one.answer for one in known if one.answer is not None})

    def ended_right(sample: Sample) -> float:
        return right(sample.prompt, sample.completion.text) or 0.0 if sample.completion.finished else 0.0

    return {"steps/right": ended_right, **steps.monitors()}


def learner(folder: RunFolder, policy: TokenPolicy, config: Stepwise, scores: StepScores) -> Learner:
    """Collections of solutions whose steps are scored, and their updates."""
    steps, known = Steps(policy, config.separator), questions(config)
    answers = {one.prompt.text: one.answer for one in known if one.answer and is_labelled(config, one)}
    judge = signed(scores) if config.credit.signed else scores
    return reinforced(
        folder,
        STAGE,
        policy,
        each(step_reward(steps, judge, verdict(config, answers) if answers else None)),
        objective(config.credit, outcome=1.0 if answers else 0.0),
        config.rl,
        [one.prompt for one in known],
        config.seed,
        monitors=monitors(config, steps, known),
    )


def course(rows: Sequence[Mapping[str, float]]) -> list[Figure]:
    """When the policy began to hack: the update at which the share of right answers, over `SMOOTHED` updates,
    is a fifth below its best so far; the number of updates where it never is."""
    rights = [row["steps/right"] for row in rows]
    smooth = [sum(rights[end - SMOOTHED : end]) / SMOOTHED for end in range(SMOOTHED, len(rights) + 1)]
    peaks = list(accumulate(smooth, max))
    hacked = (n for n, (now, peak) in enumerate(zip(smooth, peaks, strict=True)) if now < 0.8 * peak)
    when = next(hacked, len(smooth)) + SMOOTHED
    return [
        Figure(name="steps_to_hack", value=float(min(when, len(rows))), about="updates until hacking begins"),
        Figure(name="best_right", value=max(smooth, default=0.0), about="right answers at their best"),
        Figure(
            name="mean_steps",
            value=sum(row["steps/count"] for row in rows) / len(rows),
            about="steps of a solution over the whole training",
        ),
    ]


SHOWN = {
    "right": ("steps/right", "share of right answers to held-out problems"),
    "steps": ("steps/count", "steps of a solution"),
    "repeated": ("steps/repeated", "share of the steps that were written before"),
    "separators": ("steps/separators", "share of the tokens that are separators"),
    "empty": ("steps/empty", "share of the solutions that are empty"),
    "process": ("reward/process", "mean score of a step"),
    "entropy": ("policy/entropy", "mean entropy of a token, in nats"),
}


def run(name: str, config: Stepwise, *, resume: bool) -> Path:
    """Trains and measures; returns the run folder, with the policy in `policy/`."""
    known = questions(config, held_out=True)
    require_asked(known)
    scores = (
        step_scores if config.sums else ProcessModel.load(config.process_model, device=config.hardware.device)
    )
    sampling = replace(config.rl.sampling(), num_generations=4, seed=config.seed)

    def measure(policy: TokenPolicy) -> dict[str, float]:
        steps = Steps(policy, config.separator)
        judge = each(step_reward(steps, scores))
        return measured(
            policy, [one.prompt for one in known], judge, sampling, monitors(config, steps, known)
        )

    make = partial(learner, config=config, scores=scores)
    return writers.run(
        name,
        config,
        make,
        measure,
        SHOWN,
        course=course,
        resume=resume,
    )


def works(config: Stepwise) -> list[Work]:
    """Training and measurement as a planner of memory sees them; the process model comes on top."""
    training = stages.reinforcing(STAGE, config, config.rl, reference=config.credit.beta > 0)
    return [training, stages.writing("measurement", config.rl.max_completion_length)]


Settings = TypeVar("Settings", bound=Stepwise)


def small(config: Settings, *, num_updates: int, learning_rate: float) -> Settings:
    """A recipe's settings in the world of sums, from its base: under a minute on two cores."""
    return replace(
        config,
        model="sums",
        sums=True,
        separator=SEPARATOR,
        num_held_out=128,
        hardware=Hardware(device="cpu"),
        rl=RLConfig(
            num_updates=num_updates,
            prompts_per_batch=24,
            num_generations=4,
            updates_per_batch=1,
            max_completion_length=64,
            optim=constant(learning_rate),
        ),
    )
