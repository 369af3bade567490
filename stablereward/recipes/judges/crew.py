"""CRew (https://arxiv.org/abs/2510.13501): how sure a model is of the answer's tokens is the reward.

    question, reasoning → CRew = mean probability of the answer's tokens, the reasoning read and not counted
    CRew-DPO: N solutions a question → the K pairs of a right and a wrong one whose CRew is furthest apart
              → DPO against the model that wrote them → the next iteration

Nothing is trained to judge. `pairs.order` "random" takes as many pairs of a right and a wrong solution at
random, which is the control of the ranking. A solution without an answer has no CRew and is in no pair.

Deviations: the checkpoint is the last, where the paper picks one by a dev set every 50 steps. The paper saw
its second iteration lose what the first had won on MATH500 (75.0, then 71.4), so more iterations promise
nothing. No code is published.

Status: toy-verified (docs/recipes/crew.md); the full scale is untested.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from stablereward.data.parsing import boxed
from stablereward.data.preferences import read_preferences
from stablereward.data.questions import Question
from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.errors import DataError
from stablereward.judges.likelihood import Likelihood, Span, answer_confidence, last_line, mean_logprob
from stablereward.judges.selection import best_of, voted
from stablereward.lab.experiment import Arm, Claim, Experiment, Measure, difference, level
from stablereward.policies.completions import Answered
from stablereward.policies.forcing import forced
from stablereward.policies.token import TokenPolicy
from stablereward.ranges import Count, Number, Size, require_ranges
from stablereward.recipes import writers
from stablereward.recipes.rounds import AnyGroup, Rounds, preferred, writer
from stablereward.recipes.stages import Hardware, Lora
from stablereward.recipes.writers import STAGE, asked, require_asked
from stablereward.rewards.boxed import is_answer
from stablereward.rewards.reward import Sample
from stablereward.runs.folder import RunFolder
from stablereward.training.direct import DPOConfig, with_reference
from stablereward.training.learner import Learner
from stablereward.training.mining import any_pairs, widest
from stablereward.training.optim import OptimConfig
from stablereward.training.planning import Drawing, Update, Work
from stablereward.types import Failure, Group, Preference, Prompt, Reward, parts_of
from stablereward.worlds.sums.checker import solved
from stablereward.worlds.sums.choices import choices
from stablereward.worlds.sums.problems import problems, terms

RIGHT = "right"
"""The part of a reward that says whether the answer is right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Of each question `num` pairs of a right and a wrong solution: those furthest apart, or any."""

    order: Literal["widest", "random"] = "widest"
    num: Count = 10

    def __post_init__(self) -> None:
        require_ranges(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The paper on MATH: 30 solutions a question at temperature 1, 10 pairs, β 0.3, two iterations.

    Questions are those of a file with answers, of which `num_held_out` are measured on; `solutions` are
    preferences with one right response each, such as RewardMATH's one of ten, to select from. With `sums` all
    of it is the world's. `num_votes` solutions are voted on.
    """

    model: str = "Qwen/Qwen2.5-7B-Instruct"
    data: Path | None = None
    solutions: Path | None = None
    sums: bool = False
    num_held_out: Count = 256
    output: Path = Path("runs/crew")
    pairs: Pairs = field(default_factory=Pairs)
    iterations: Count = 2
    prompts_per_iteration: Count = 7500
    sampling: Sampling = field(
        default_factory=lambda: Sampling(num_generations=30, max_completion_length=2048)
    )
    num_votes: Size = 16
    dpo: DPOConfig = field(
        default_factory=lambda: DPOConfig(
            beta=0.3, epochs=2.0, batch_size=128, optim=OptimConfig(learning_rate=5e-7)
        )
    )
    lora: Lora | None = None
    hardware: Hardware = field(default_factory=Hardware)
    seed: Number = 0

    def __post_init__(self) -> None:
        require_ranges(self)


def questions(config: Config, *, held_out: bool = False) -> list[Question]:
    """Those to train on, or those to measure on."""
    if config.sums:
        made = problems(config.num_held_out if held_out else 4096, seed=config.seed, held_out=held_out)
        return [Question(prompt=prompt, answer=str(sum(terms(prompt)))) for prompt in made]
    return asked(config.data, config.num_held_out, config.seed)[held_out]


def prompts(config: Config) -> list[Prompt]:
    """What is trained on; none where no file is named."""
    return [one.prompt for one in questions(config)]


def to_select_from(config: Config) -> list[Preference]:
    """One right solution among wrong ones, of held-out problems; none where no file is named."""
    if config.sums:
        return choices(config.num_held_out, seed=config.seed)
    return [] if config.solutions is None else list(read_preferences(config.solutions))


def answer_span(config: Config) -> Span:
    """The last line of a sum; what the box holds, elsewhere."""
    return last_line if config.sums else boxed


def crew(policy: TokenPolicy, config: Config) -> Likelihood:
    """The policy, as it is at every moment, as a judge by its confidence."""
    return Likelihood(policy=policy, read=answer_confidence(policy.decode, answer_span(config)))


def verifier(config: Config, known: Sequence[Question]) -> Callable[[Prompt, str], bool]:
    """Whether a text has the right answer to its question."""
    if config.sums:
        return solved
    answers = {one.prompt.text: one.answer for one in known if one.answer is not None}
    if len(answers) < len(known):
        raise DataError(f"{config.data}: {len(known) - len(answers)} questions have no answer; give each one")
    return lambda prompt, text: is_answer(text, answers[prompt.text])


def learner(folder: RunFolder, policy: TokenPolicy, config: Config) -> Learner:
    """Iterations of sampling, pairing by confidence, and DPO."""
    known, judge = questions(config), crew(policy, config)
    right, pupil = verifier(config, known), writer(policy, config.sampling)

    def reward(group: Answered) -> list[Reward | Failure]:
        scores = judge.read_all([group])
        verdicts = [right(group.prompt, one.text) for one in group.trajectories]
        return [
            score if isinstance(score, Failure) else Reward(value=score, parts={RIGHT: float(verdict)})
            for score, verdict in zip(scores, verdicts, strict=True)
        ]

    def choose(groups: Sequence[AnyGroup], seed: int) -> list[AnyGroup]:
        mine = partial(any_pairs, rng=random.Random(seed)) if config.pairs.order == "random" else widest
        pairs = [pair for group in groups for pair in mine(group, is_right, config.pairs.num)]
        return with_reference(pairs, partial(forced, pupil.family))

    def seen(sample: Sample) -> float:
        return float(right(sample.prompt, sample.completion.text))

    return Rounds(
        run=folder,
        stage=STAGE,
        pupil=pupil,
        prompts=[one.prompt for one in known],
        prompts_per_round=config.prompts_per_iteration,
        reward=reward,
        choose=choose,
        lesson=preferred(pupil, config.dpo),
        num_rounds=config.iterations,
        updates=config.dpo.num_updates(config.prompts_per_iteration * config.pairs.num),
        seed=config.seed,
        monitors={"answers/right": seen},
    ).learner()


def is_right(reward: Reward) -> bool:
    """What the verifier said of a solution when it was rewarded."""
    return reward.parts[RIGHT] > 0.5


def selected(judge: Likelihood, preferences: Sequence[Preference]) -> float:
    """The share of the preferences whose right response has the highest score."""
    chosen = map(best_of, judge.scores(preferences))
    return sum(one == p.best for one, p in zip(chosen, preferences, strict=True)) / len(preferences)


def with_answers_exchanged(preference: Preference, span: Span, rng: random.Random) -> Preference:
    """The same reasonings, each with the answer of a response drawn at random: the control of confidence."""
    texts = ["".join(part for part in parts_of(r) if isinstance(part, str)) for r in preference.responses]
    places = [span(text) or (len(text), len(text)) for text in texts]
    answers = [text[slice(*place)] for text, place in zip(texts, places, strict=True)]
    rng.shuffle(answers)
    told = zip(texts, places, answers, strict=True)
    return replace(preference, responses=tuple(t[:a] + answer + t[b:] for t, (a, b), answer in told))


def measured(policy: TokenPolicy, config: Config) -> dict[str, float]:
    """How well the policy selects and solves, by name."""
    span, known = answer_span(config), questions(config, held_out=True)
    right, judge = verifier(config, known), crew(policy, config)
    sampling = replace(config.sampling, num_generations=config.num_votes, seed=config.seed)
    written = HFEngine(policy).sample([one.prompt for one in known], sampling)
    counts: dict[str, float] = dict.fromkeys(("accuracy", "vote", "weighted_vote", "best_of_n"), 0.0)
    for one, solutions in zip(known, written, strict=True):
        if isinstance(solutions, Failure):
            continue
        scores = judge.read_all([Group(prompt=one.prompt, trajectories=solutions)])
        answers = [t.text[slice(*place)] if (place := span(t.text)) else None for t in solutions]
        verdicts = [right(one.prompt, t.text) for t in solutions]
        ways = {"vote": voted(answers), "weighted_vote": voted(answers, scores), "best_of_n": best_of(scores)}
        counts["accuracy"] += sum(verdicts) / len(verdicts)
        for name, chosen in ways.items():
            counts[name] += chosen is not None and verdicts[chosen]
    found = {name: count / len(known) for name, count in counts.items()}
    if shown := to_select_from(config):
        rng = random.Random(config.seed)
        found["selection"] = selected(judge, shown)
        found["selection_shuffled"] = selected(judge, [with_answers_exchanged(p, span, rng) for p in shown])
        found["selection_perplexity"] = selected(replace(judge, read=mean_logprob), shown)
    return found


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


def run(config: Config, *, resume: bool = False) -> Path:
    """Trains and measures; returns the run folder, with the policy in `policy/`."""
    require_asked(questions(config, held_out=True))
    return writers.run(
        "crew",
        config,
        partial(learner, config=config),
        partial(measured, config=config),
        SHOWN | (SELECTED if to_select_from(config) else {}),
        resume=resume,
    )


def works(config: Config) -> list[Work]:
    """Training and measurement as a planner of memory sees them."""
    length = config.sampling.max_completion_length
    update = Update(
        prompts=config.dpo.batch_size, group=2, completion=length, token_budget=config.dpo.token_budget
    )
    num = config.sampling.num_generations
    drawing = Drawing(group=num, completion=length, prompts=config.prompts_per_iteration)
    rank = None if config.lora is None else config.lora.rank
    checkpointing = config.hardware.gradient_checkpointing
    return [
        Work(name=STAGE, update=update, drawing=drawing, rank=rank, checkpointing=checkpointing),
        Work(name="measurement", drawing=Drawing(group=config.num_votes, completion=length)),
    ]


def tiny() -> Config:
    """The world of sums from its base: seconds on two cores."""
    return Config(
        model="sums",
        sums=True,
        num_votes=4,
        prompts_per_iteration=96,
        pairs=Pairs(num=4),
        sampling=Sampling(num_generations=16, max_completion_length=32),
        dpo=DPOConfig(
            beta=0.3,
            batch_size=32,
            optim=OptimConfig(learning_rate=2e-4, schedule="constant", warmup=0.0),
        ),
        hardware=Hardware(device="cpu"),
    )


def _gain(figure: str, arm: str) -> Measure:
    return lambda arms: arms[arm][figure] - arms[arm][f"start_{figure}"]


def _over(figure: str, other: str) -> Measure:
    return lambda arms: arms["crew"][figure] - arms["crew"][other]


EXPERIMENT = Experiment(
    says="RewardMATH, one right of ten, Qwen2.5-7B-Instruct: CRew 27.12, perplexity 2.07; CRew-DPO 36.02 and "
    "38.72 after one and two iterations, DPO on random pairs 29.19. MATH500: weighted vote 79.2, plain 78.2, "
    "best of 16 by CRew 72.2; greedily 71.2, then 75.0, then 71.4.",
    arms={
        "crew": Arm(about="the pairs whose CRew is furthest apart, two iterations"),
        "one iteration": Arm(about="one iteration of them", changes=("iterations=1",)),
        "random": Arm(about="as many pairs of a right and a wrong solution", changes=("pairs.order=random",)),
    },
    figures={
        "selection": "share of right solutions found by CRew among one right and nine wrong, held out",
        "selection_perplexity": "the same found by the mean log-probability of a token",
        "selection_shuffled": "the same by CRew, with answers dealt anew among the ten",
        "accuracy": "share of right solutions to held-out problems, sampled at temperature 1",
        "vote": "share of right answers of a vote of four",
        "weighted_vote": "the same, each vote weighted by CRew",
        "best_of_n": "the same of the one of four with the highest CRew",
    },
    claims=(
        Claim(says="The set-up can tell: the base's CRew finds the right one more often than chance",
              measure=level("start_selection", "crew"), above=0.2, positive=True, control="chance, 0.1"),
        Claim(says="It is the answer that tells: dealt anew, it tells nothing", below=0.15,
              measure=level("start_selection_shuffled", "crew"), control="chance, 0.1"),
        Claim(says="CRew finds more than perplexity does", above=0.0, control="the same model's perplexity",
              measure=_over("start_selection", "start_selection_perplexity")),
        Claim(says="The set-up learns: DPO on random pairs raises the share of right solutions", above=0.05,
              measure=_gain("accuracy", "random"), positive=True, control="the base before training"),
        Claim(says="CRew-DPO raises what CRew finds", measure=_gain("selection", "crew"), above=0.02,
              control="the base before training"),
        Claim(says="It raises it more than random pairs do", above=0.0,
              measure=difference("selection", "crew", "random"), control="as many random pairs"),
        Claim(says="It solves more than after random pairs", measure=difference("accuracy", "crew", "random"),
              above=0.0, control="as many random pairs"),
        Claim(says="The second iteration raises what CRew finds", above=0.0,
              measure=difference("selection", "crew", "one iteration"), control="one iteration"),
        Claim(says="A vote weighted by the base's CRew is right more often than a plain one", above=0.0,
              measure=_over("start_weighted_vote", "start_vote"),
              control="a plain vote over the same solutions"),
        Claim(says="The base's best of four by CRew is right more often than any one", above=0.05,
              measure=_over("start_best_of_n", "start_accuracy"),
              control="the mean of the same solutions"),
    ),
    watched=((STAGE, "answers/right"), (STAGE, "pairs/accuracy")),
    notes="Solutions to select from are the writer's of the world, not the policy's, and the same for all "
    "arms of a seed. Four solutions vote, for sixteen of the base leave nothing to gain.",
)  # fmt: skip
