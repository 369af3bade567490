"""Scalar reward models that learn from ratings, from comparisons, or from both: what such recipes share.

A row of theirs has two responses, and in `extra` the strength of the preference and what each response is
rated by each attribute: {"strength": "2", "helpfulness": "4 3"}. `judges/help_steer_2.py` is one.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from stablereward.config import dump
from stablereward.errors import ConfigError, DataError
from stablereward.evaluation.intervals import share_interval
from stablereward.judges.scalar import Scalar
from stablereward.policies.extrapolation import extrapolated
from stablereward.policies.parts import part_of
from stablereward.policies.scalar import Dialogue, ScalarModel, dialogue, load_scorer
from stablereward.policies.scalar_head import HeadConfig
from stablereward.ranges import NotNegative, Number, require_ranges
from stablereward.recipes import works as stages
from stablereward.recipes.measuring import Subject, measure
from stablereward.recipes.scalar import accuracies, kept, learn, preferences, started
from stablereward.recipes.sources import Data
from stablereward.recipes.stages import Hardware, Lora, stage
from stablereward.report.report import write_report
from stablereward.runs import figures
from stablereward.runs.figures import Figure
from stablereward.runs.folder import RunFolder
from stablereward.runs.progress import say
from stablereward.training.checkpoint import write_folder
from stablereward.training.learner import Learner
from stablereward.training.pairwise import AnyGroup, Comparison, RewardConfig
from stablereward.training.planning import Work
from stablereward.training.rating import rated_batches, regression_loss
from stablereward.types import Failure, Preference, Reward
from stablereward.worlds.rated import Rated, pairs
from stablereward.worlds.utility import Pair, PointScorer, ordered

STAGE, PREFERENCE = "rating", "preference"
ABOUT = {
    "rated": "accuracy of the model of ratings",
    "preferred": "accuracy after the preferences",
    "accuracy": "accuracy of the judge, after ExPO where there is one",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Raters:
    """What such a recipe sets. With a `world` a head alone learns, on that world's frozen features.

    start: "ratings" begins with the model of the `attributes`' ratings, of which the first is judged by.
    strengths: "shuffled" gives each preference the strength of another.
    alpha: how far beyond, see `policies.extrapolation.extrapolated`; 0 is no extrapolation.
    """

    model: str
    data: Data = field(default_factory=Data)
    output: Path
    attributes: tuple[str, ...] = ("helpfulness",)
    head: HeadConfig = field(default_factory=lambda: HeadConfig(layers=1, pooling="end"))
    start: Literal["ratings", "new"] = "ratings"
    strengths: Literal["annotated", "shuffled"] = "annotated"
    alpha: NotNegative = 0.5
    rating: RewardConfig = field(default_factory=RewardConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    world: Rated | None = None
    lora: Lora | None = None
    hardware: Hardware = field(default_factory=Hardware)
    seed: Number = 0

    def __post_init__(self) -> None:
        require_ranges(self)
        if not self.attributes:
            raise ConfigError("attributes is empty; name what is rated, such as helpfulness")


def annotated(preference: Preference, attributes: Sequence[str]) -> Dialogue:
    """The dialogue in which the better response earns the strength, the other 0, and the parts are ratings.

    Raises DataError where there is no better one of two, or a number is missing.
    """
    if preference.best is None or len(preference.responses) != 2:
        raise DataError(f"{preference.name}: it has no better one of two responses; leave it out")
    [strength] = _numbers(preference, "strength", 1)
    if strength <= 0:
        raise DataError(f"{preference.name}: its strength is {strength:g}; give one above 0, or leave it out")
    ratings = {name: _numbers(preference, name, 2) for name in attributes}
    rewards = tuple(
        Reward(
            value=strength if place == preference.best else 0.0,
            parts={name: both[place] for name, both in ratings.items()},
        )
        for place in range(2)
    )
    return replace(dialogue(preference), rewards=rewards)


def _numbers(preference: Preference, name: str, count: int) -> list[float]:
    try:
        found = [float(text) for text in preference.extra.get(name, "").split()]
    except ValueError:
        found = []
    if len(found) != count or not all(map(math.isfinite, found)):
        wanted = "a number" if count == 1 else f"{count} numbers, one a response"
        raise DataError(f"{preference.name}: extra.{name} is not {wanted}; write it as text, or leave it out")
    return found


def strength(group: AnyGroup) -> float:
    """By how much the better one is preferred."""
    return max(reward.value for reward in group.rewards if isinstance(reward, Reward))


def dealt(groups: Sequence[AnyGroup], seed: int) -> list[AnyGroup]:
    """The same preferences, each with the strength of another: the control."""
    strengths = [strength(group) for group in groups]
    random.Random(seed).shuffle(strengths)
    return [
        replace(group, rewards=tuple(_worth(reward, m) for reward in group.rewards))
        for group, m in zip(groups, strengths, strict=True)
    ]


def _worth(reward: Reward | Failure, m: float) -> Reward | Failure:
    """The same ratings, and that strength where it is the better one's."""
    return replace(reward, value=m) if isinstance(reward, Reward) and reward.value else reward


def run(
    config: Raters, comparison: Callable[[Sequence[AnyGroup]], Comparison], *, resume: bool = False
) -> Path:
    """Trains and measures; returns the run folder: `rated/`, `preferred/` and, of both, `judge/`.

    `comparison` makes the loss from all preferences that are trained on. Raises DataError for a row without
    what is needed.
    """
    folder, head = RunFolder(config.output), replace(config.head, outputs=len(config.attributes))
    with folder.running(dump(config), resume=resume):
        if config.world is not None:
            made = partial(PointScorer, config.world.features, head, config.seed)
            judges = _learnt(
                config,
                folder,
                pairs(config.world, config.seed),
                comparison,
                made,
                lambda path: made().read(path),
            )
            held_out = pairs(config.world, config.seed, held_out=True)
            told = [_right(name, made().read(path), held_out) for name, path in judges.items()]
            figures.write(folder.path, told)
            return folder.path
        with stage(folder, "data"):
            found = preferences(folder, config.model, config.data, config.seed)
            shown = [annotated(one, config.attributes) for one in found.train]

        def begun(model: str | Path) -> ScalarModel:
            return started(model, head, config.hardware, config.lora, config.seed)

        judges = _learnt(config, folder, shown, comparison, partial(begun, config.model), begun)
        with stage(folder, "measurement"):
            figures.write(folder.path, _measured(folder, judges, found.held_out, config.hardware))
        say(f"report: {write_report(folder.path, tell=say)}")
    return folder.path


def _learnt(
    config: Raters,
    folder: RunFolder,
    shown: Sequence[AnyGroup],
    comparison: Callable[[Sequence[AnyGroup]], Comparison],
    start: Callable[[], Any],
    read: Callable[[Path], Any],
) -> dict[str, Path]:
    """The folders of the models by what has been made of them so far."""
    if config.strengths == "shuffled":
        shown = dealt(shown, config.seed)
    judges = {}
    if config.start == "ratings":
        with stage(folder, STAGE):
            judges["rated"] = rate(
                folder, start, shown, config.attributes, config.rating, config.hardware, config.seed
            )
        start = partial(read, judges["rated"])
    with stage(folder, PREFERENCE):
        judges["preferred"] = learn(
            folder,
            start,
            shown,
            config.reward,
            config.hardware,
            config.seed,
            comparison=comparison(shown),
            name="preferred",
            stage=PREFERENCE,
        )
    # A model that began with a new head has nowhere to go on from, and is the judge as it is.
    begun = judges.get("rated", judges["preferred"])
    return {**judges, "accuracy": beyond(folder, read, begun, judges["preferred"], config.alpha)}


def rate(
    run: RunFolder,
    start: Callable[[], Any],
    shown: Sequence[AnyGroup],
    attributes: Sequence[str],
    config: RewardConfig,
    hardware: Hardware,
    seed: int,
) -> Path:
    """Regresses the ratings; returns the model's folder, `rated` in the run."""

    def learner(model: Any) -> Learner:
        return Learner(
            name="rating model",
            module=model,
            batches=lambda done: rated_batches(shown, model.encoded, model.costs, config, seed, done),
            loss=lambda share: regression_loss(model.outputs, share, attributes),
            num_updates=config.num_updates(len(shown)),
            optim=config.optim,
            part_of=part_of,
            cost=lambda share: share.cost,
        )

    return kept(run, start, learner, hardware, name="rated", stage=STAGE)


def beyond(run: RunFolder, read: Callable[[Path], Any], start: Path, trained: Path, alpha: float) -> Path:
    """The model `alpha` times as far beyond `trained` as that is from `start`; its folder is `judge`.

    Both are in memory at once.
    """
    target = run.path / "judge"
    if not target.exists():
        model = read(trained)
        model.load_state_dict(extrapolated(read(start).state_dict(), model.state_dict(), alpha))
        write_folder(target, model.save)
    return target


def _right(name: str, scorer: PointScorer, held_out: Sequence[Pair]) -> Figure:
    rows = np.array(ordered(scorer, [p for pair in held_out for p in pair.trajectories]), dtype=np.float64)
    low, high = share_interval(rows, [""] * len(rows))
    return Figure(name=name, value=float(rows.mean()), about=ABOUT[name], low=low, high=high, n=len(rows))


def _measured(
    run: RunFolder, judges: dict[str, Path], held_out: Sequence[Preference], hardware: Hardware
) -> list[Figure]:
    """The accuracy of each on held-out preferences; one is in memory at a time."""

    def judge(path: Path, votes: int) -> Scalar:
        return Scalar(model=load_scorer(path, device=hardware.device))

    subjects = [
        Subject(name=ABOUT[name], role="trained", judge=partial(judge, path)) for name, path in judges.items()
    ]
    measure(run, subjects, held_out)
    return accuracies(run, {about: name for name, about in ABOUT.items()})


def works(config: Raters) -> list[Work]:
    """The stages as a planner of memory sees them, two responses of 512 tokens to a question."""
    rating = [stages.comparing(STAGE, config, config.rating, responses=2, completion=512)]
    preference = stages.comparing(PREFERENCE, config, config.reward, responses=2, completion=512)
    return [*(rating if config.start == "ratings" else []), preference]
