"""Policies that are told a direction of wishes and learn by choosing among their own answers.

A question is asked in each direction. Answers are rated by one scalar model an objective, or by the world,
and weighed by the direction. `judges/dpa.py` is one such recipe.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stablereward.config import dump
from stablereward.data.questions import read_questions
from stablereward.engines.engine import Sampling
from stablereward.errors import ConfigError
from stablereward.objectives.rankings import agreement
from stablereward.policies.scalar import load_scorer
from stablereward.ranges import Count, Number, Size, require_ranges
from stablereward.recipes import works as stages
from stablereward.recipes.pupils import Pupil, picker, writer
from stablereward.recipes.rounds import AnyGroup, Choose, Rounds, imitated
from stablereward.recipes.snapshots import Snapshots
from stablereward.recipes.stages import Hardware, Lora, load_policy, stage
from stablereward.report.report import write_report
from stablereward.rewards.reward import GroupReward
from stablereward.runs.figures import Figure, write
from stablereward.runs.folder import RunFolder, read_jsonl
from stablereward.runs.machine import keep_machine
from stablereward.runs.progress import say
from stablereward.training.checkpoint import write_folder
from stablereward.training.imitation import SFTConfig
from stablereward.training.learner import Learner, train
from stablereward.training.planning import Drawing, Work
from stablereward.types import Completion, Failure, Group, Message, Preference, Prompt, Reward
from stablereward.worlds.menu import Pick
from stablereward.worlds.wishes import HELPFULNESS, VERBOSITY, Obliging, Rated, Wish, Wishes, direction

STAGE = "rounds"
SYSTEM = (
    "You are a helpful assistant. Your response should maximize weighted rating = "
    "helpfulness*{helpfulness} + verbosity*{verbosity}."
)
STEEPEST = -45.0
"""The direction, in degrees, that wants answers as short as helpful."""
UNSEEN = -22.5
ABOUT = {
    "hypervolume": "area that the mean answers in 19 directions dominate, in that of all answers",
    "hypervolume_start": "the same before training",
    "span": "by how much verbosity differs between directions",
    "monotone": "share of the pairs of directions whose verbosities are in order",
    "unseen": "mean true v·r at -22.5°",
    "neighbours": "the same in the two nearest directions of training",
    "nearest": "the better of the answers given there, valued at -22.5°",
    "overrated": "mean v·r as rated, less the true one",
}
"""What each figure of the world is; hypervolume_N is that after N rounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered:
    """`num_rounds` times `sampling` for `prompts_per_round` pairs of a question of `data` and one of
    `num_directions` directions, and `imitation`. With `wishes` all is the world's.
    """

    model: str
    helpfulness: str = ""
    verbosity: str = ""
    data: Path | None = None
    wishes: Wishes | None = None
    output: Path
    num_rounds: Count = 4
    prompts_per_round: Count = 60_000
    num_directions: Size = 10
    sampling: Sampling = field(default_factory=Sampling)
    imitation: SFTConfig = field(default_factory=SFTConfig)
    lora: Lora | None = None
    hardware: Hardware = field(default_factory=Hardware)
    seed: Number = 0

    def __post_init__(self) -> None:
        require_ranges(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Directed(Prompt):
    """A prompt whose first message tells a direction; `question` is the text without it."""

    question: str
    degrees: float


def spread(num: int) -> list[float]:
    """So many directions at equal distances, both ends among them."""
    steps = max(1, num - 1)
    return [STEEPEST * (steps - n) / steps for n in range(num)]


def prompts(config: Steered) -> list[Directed]:
    """Every question in every direction; none where no file is named."""
    asked = [] if config.data is None else read_questions(config.data)
    return [directed(one.prompt, degrees) for one in asked for degrees in spread(config.num_directions)]


def directed(prompt: Prompt, degrees: float) -> Directed:
    """The prompt with its direction in whole hundredths, as the paper writes it."""
    helpful, verbose = (round(100 * weight) for weight in direction(degrees))
    told = Message("system", (SYSTEM.format(helpfulness=helpful, verbosity=verbose),))
    return Directed(messages=(told, *prompt.messages), question=prompt.text, degrees=degrees)


def rated_by(helpfulness: str, verbosity: str, *, device: str | None = None) -> GroupReward:
    """The scores of two scalar models, weighed by the direction of the prompt. Raises ModelError."""
    models = [load_scorer(path, device=device) for path in (helpfulness, verbosity)]

    def reward(group: Group[Directed, Completion]) -> list[Reward | Failure]:
        texts = tuple(completion.text for completion in group.trajectories)
        asked = Preference(question=group.prompt.question, responses=texts, images=group.prompt.images)
        both = [model.scores([asked])[0] for model in models]
        return [_reward(group.prompt.degrees, *pair) for pair in zip(*both, strict=True)]

    return reward


def rated_in(world: Rated) -> GroupReward:
    """The ratings of the world, weighed likewise."""
    ratings = world.rated_N2.tolist()

    def reward(group: Group[Wish, Pick]) -> list[Reward | Failure]:
        return [_reward(group.prompt.degrees, *ratings[pick.answer]) for pick in group.trajectories]

    return reward


def _reward(degrees: float, helpful: float | Failure, verbose: float | Failure) -> Reward | Failure:
    if isinstance(helpful, Failure):
        return helpful
    if isinstance(verbose, Failure):
        return verbose
    a, b = direction(degrees)
    parts = {HELPFULNESS: helpful, VERBOSITY: verbose}
    return Reward(value=a * helpful + b * verbose, parts=parts)


def weighed(group: AnyGroup, degrees: float) -> AnyGroup:
    """The group, its rewards weighed by another direction: R(x, v, y) = v·r(x, y)."""
    told: list[Any] = [
        _reward(degrees, r.parts[HELPFULNESS], r.parts[VERBOSITY]) if isinstance(r, Reward) else r
        for r in group.rewards
    ]
    return replace(group, rewards=tuple(told))


def run(
    name: str, config: Steered, choose: Choose, *, apart: bool = False, at_once: bool = False, resume: bool
) -> Path:
    """Trains in rounds; returns the run folder, with the policy in `policy/`.

    With `apart` the world's policy is one for each direction. `at_once` makes one round of all, with as many
    samples and updates. Raises ConfigError where data or a model is missing, and for
    separate policies of texts.
    """
    if config.wishes is None and not (config.data and config.helpfulness and config.verbosity):
        raise ConfigError(
            "data, helpfulness or verbosity has no value; give a file of prompts and two reward models"
        )
    if apart and config.wishes is None:
        raise ConfigError("separate policies are the world's only; give wishes, or train one run a direction")
    folder = RunFolder(config.output)
    with folder.running(dump(config), resume=resume):
        keep_machine(folder.path, name)
        pupil, shown, reward = _started(config, apart)
        snapshots = Snapshots(folder, STAGE, pupil.module, pupil.frozen())
        with stage(folder, STAGE):
            made = _learner(folder, pupil, shown, reward, choose, snapshots, config, at_once)
            train(folder, STAGE, made, save_every=config.hardware.save_every)
        target = folder.path / "policy"
        if not target.exists():
            write_folder(target, pupil.module.save)
        write(folder.path, [*_course(folder), *_worth(pupil.module, snapshots, config)])
        say(f"report: {write_report(folder.path, tell=say)}")
    return folder.path


def _started(config: Steered, apart: bool) -> tuple[Pupil, Sequence[Any], GroupReward]:
    """The pupil, its prompts and how its answers are rated."""
    if config.wishes is not None:
        wishes = [Wish(number, degrees) for number, degrees in enumerate(spread(config.num_directions))]
        policy = Obliging(config.wishes, wishes, config.seed, apart=apart)
        rated = Rated(config.wishes, config.seed)
        return picker(policy, config.sampling.num_generations), wishes, rated_in(rated)
    reward = rated_by(config.helpfulness, config.verbosity, device=config.hardware.device)
    model = load_policy(config.model, config.hardware, config.lora)
    return writer(model, config.sampling), prompts(config), reward


def _learner(
    folder: RunFolder,
    pupil: Pupil,
    shown: Sequence[Any],
    reward: GroupReward,
    choose: Choose,
    snapshots: Snapshots,
    config: Steered,
    at_once: bool,
) -> Learner:
    times = config.num_rounds if at_once else 1
    return Rounds(
        run=folder,
        stage=STAGE,
        pupil=pupil,
        prompts=shown,
        prompts_per_round=times * config.prompts_per_round,
        reward=reward,
        choose=choose,
        lesson=imitated(pupil, config.imitation),
        num_rounds=config.num_rounds // times,
        updates=times * config.imitation.num_updates(config.prompts_per_round),
        seed=config.seed,
        snapshots=snapshots,
    ).learner()


def _course(folder: RunFolder) -> list[Figure]:
    """What was chosen in the last round. Raises DataError for a damaged file."""
    rows = [row for _, row in read_jsonl(folder.path / "metrics.jsonl") if "reward/chosen" in row]
    about = "mean v·r, as rated, of what the last round chose"
    return [Figure(name="chosen", value=rows[-1]["reward/chosen"], about=about)]


def _worth(policy: Any, snapshots: Snapshots, config: Steered) -> list[Figure]:
    """What the world knows of the policy, in 19 directions, and what it dominated when each round began."""
    if config.wishes is None or not isinstance(policy, Obliging):
        return []
    world, degrees = Rated(config.wishes, config.seed), spread(19)
    begun = [n for n in range(config.num_rounds) if snapshots.has(n)]
    fronts = [world.dominated(snapshots.at(n).means(degrees, world.gold_N2)) for n in begun]
    found = {f"hypervolume_{n}": value for n, value in zip(begun, fronts, strict=True) if n > 0}
    means_M2 = policy.means(degrees, world.gold_N2)
    verbosities = means_M2[:, 1].tolist()

    def worth(shown: float, valued: float, ratings_N2: Any = world.gold_N2) -> float:
        helpful, verbose = map(float, policy.means([shown], ratings_N2)[0])
        a, b = direction(valued)
        return a * helpful + b * verbose

    near = sorted(spread(config.num_directions), key=lambda one: abs(one - UNSEEN))[:2]
    found |= {
        "hypervolume": world.dominated(means_M2),
        "hypervolume_start": fronts[0],
        "span": max(verbosities) - min(verbosities),
        "monotone": agreement(verbosities, degrees) or 0.0,
        "unseen": worth(UNSEEN, UNSEEN),
        "neighbours": sum(worth(one, one) for one in near) / len(near),
        "nearest": max(worth(one, UNSEEN) for one in near),
        "overrated": sum(worth(d, d, world.rated_N2) - worth(d, d) for d in degrees) / len(degrees),
    }
    return [Figure(name=n, value=v, about=ABOUT[n.rstrip("_0123456789")]) for n, v in found.items()]


def works(config: Steered) -> list[Work]:
    """Training as a planner of memory sees it."""
    length, num = config.sampling.max_completion_length, config.sampling.num_generations
    drawing = Drawing(group=num, completion=length, prompts=config.prompts_per_round)
    return [stages.imitating(STAGE, config, config.imitation, length, drawing)]
