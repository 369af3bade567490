"""What recipes of generators of pictures share: prompts, rewards, the policy, and what is measured of it."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Protocol

import torch

from stablereward.errors import ConfigError, DataError
from stablereward.policies.diffusion import DiffusionPolicy, add_lora, sampler
from stablereward.ranges import Count, Finite, NotNegative, Range, Size, require_ranges
from stablereward.recipes.stages import Hardware, Lora, stage
from stablereward.report.report import write_report
from stablereward.rewards.clip_score import ClipScore
from stablereward.rewards.differentiable import DifferentiableReward
from stablereward.runs.figures import Figure, write
from stablereward.runs.folder import RunFolder
from stablereward.runs.progress import bar, say
from stablereward.training.checkpoint import write_folder
from stablereward.training.fit import Update
from stablereward.training.learner import Learner, train
from stablereward.training.protection import Protection
from stablereward.types import Failure, Prompt
from stablereward.worlds.shapes import drawings, oracle
from stablereward.worlds.shapes.rewards import Cls, bright

ANIMALS = (
    "cat dog horse monkey rabbit zebra spider bird sheep deer cow goat lion tiger bear raccoon fox wolf "
    "lizard beetle ant butterfly fish shark whale dolphin squirrel mouse rat snake turtle frog chicken duck "
    "goose bee pig turkey fly llama camel bat gorilla hedgehog kangaroo"
)
"""The 45 of DDPO, https://arxiv.org/abs/2305.13301, which later papers train on."""
SHAPES = "shapes"
MEASURED_SEED = 1_000_003
MEASURED_PROMPTS = 32
"""Measured between updates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """DDIM steps, their noise, the weight of guidance, and how many pictures are drawn at once."""

    num_steps: Annotated[int, Range(1, 1000)] = 50
    eta: NotNegative = 1.0
    guidance: NotNegative = 5.0
    at_once: Size = 8

    def __post_init__(self) -> None:
        require_ranges(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A generator, its prompts and what its pictures are rewarded for.

    `measured` pictures of every prompt are measured before and after; some of the prompts every
    `measure_every` updates. `level` is a reward at which what else is measured is compared between runs.
    """

    model: str = "stable-diffusion-v1-5/stable-diffusion-v1-5"
    prompts: str = "animals"
    reward: str = "yuvalkirstain/PickScore_v1"
    drawing: Drawing = field(default_factory=Drawing)
    lora: Lora = field(default_factory=lambda: Lora(rank=4, alpha=4))
    measured: Annotated[int, Range(2)] = 4
    measure_every: Count = 50
    level: Finite | None = None

    def __post_init__(self) -> None:
        require_ranges(self)


Make = Callable[[RunFolder, DiffusionPolicy, DifferentiableReward, Sequence[Prompt]], Learner]
"""A learner of a recipe's own method."""


class Recipe(Protocol):
    """The settings that these recipes share."""

    @property
    def task(self) -> Task: ...
    @property
    def hardware(self) -> Hardware: ...
    @property
    def protection(self) -> Protection: ...
    @property
    def output(self) -> Path: ...
    @property
    def seed(self) -> int: ...


def run(config: Recipe, make: Make, settings: str, *, whole: int = 1, resume: bool) -> Path:
    """Trains the generator as `make` says and measures it beside the one it started from. `whole` updates
    belong together.

    The run folder gets the generator, a pipeline that diffusers loads, `figures.json` and `report.html`.
    """
    folder, task = RunFolder(config.output), config.task
    folder.open(settings, resume=resume)
    prompts, target = prompts_of(task.prompts), folder.path / "generator"
    with stage(folder, "rl"):
        if not target.exists():
            policy = load(task.model, task.drawing, config.hardware, task.lora)
            reward = reward_of(task.reward, policy.device)
            learner = make(folder, policy, reward, shuffled(prompts, config.seed))
            learner = _watched(learner, policy, task, prompts, reward)
            with bar("pictures", learner.num_updates) as told:
                train(
                    folder,
                    "rl",
                    learner,
                    save_every=config.hardware.save_every,
                    progress=lambda one: told(one.number, f"reward {one.metrics['reward/mean']:.3f}"),
                    protection=config.protection,
                    whole=whole,
                )
            write_folder(target, policy.save)
    with stage(folder, "measurement"):
        write(folder.path, _figures(folder, task, prompts, config.hardware, target))
    say(f"report: {write_report(folder.path)}")
    return folder.path


def tiny() -> Task:
    """The world of shapes, from its base generator."""
    drawing = Drawing(num_steps=10, guidance=1.0, at_once=32)
    return Task(model=SHAPES, prompts=SHAPES, reward="bright", drawing=drawing, measured=2, measure_every=5)


def prompts_of(name: str) -> list[Prompt]:
    """ "animals", all of the world of "shapes", or a text file's lines. Raises ConfigError, DataError."""
    if name == "animals":
        return [Prompt.user(text=animal) for animal in ANIMALS.split()]
    if name == SHAPES:
        return drawings.prompts()
    try:
        lines = Path(name).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"prompts is {name!r}; give animals, {SHAPES} or a text file of prompts") from None
    found = [Prompt.user(text=line.strip()) for line in lines if line.strip()]
    if not found:
        raise DataError(f"{name}: no prompt in it; write one a line")
    return found


def reward_of(name: str, device: torch.device) -> DifferentiableReward:
    """ "bright" or "cls" of the world of shapes, or a CLIP model by folder or hub name. Raises ModelError."""
    if name in ("bright", "cls"):
        return bright if name == "bright" else Cls()
    return ClipScore(name, device)


def load(
    model: str | Path, drawing: Drawing, hardware: Hardware, lora: Lora | None = None
) -> DiffusionPolicy:
    """The generator, with adapters in its attention where it is to be trained. Raises ModelError."""
    policy = DiffusionPolicy.load(
        model,
        device=hardware.device,
        num_steps=drawing.num_steps,
        eta=drawing.eta,
        guidance=drawing.guidance,
        at_once=drawing.at_once,
        checkpointing=hardware.gradient_checkpointing,
    )
    if lora is not None:
        add_lora(policy, rank=lora.rank, alpha=lora.alpha)
    return policy


def shuffled(prompts: Sequence[Prompt], seed: int) -> list[Prompt]:
    """The prompts in an order of the seed's."""
    return random.Random(seed).sample(list(prompts), len(prompts))


def measure(
    policy: DiffusionPolicy, task: Task, prompts: Sequence[Prompt], reward: DifferentiableReward, num: int
) -> dict[str, float]:
    """The mean reward of `num` pictures of each prompt and their diversity; of shapes also the rule."""
    drawn = [own for own in sampler(policy, num)(prompts, MEASURED_SEED) if not isinstance(own, Failure)]
    asked = [prompt for prompt, own in zip(prompts, drawn, strict=True) for _ in own]
    pictures = torch.stack([path.picture_CHW for own in drawn for path in own])
    cut = range(0, len(asked), task.drawing.at_once)
    with torch.no_grad():
        parts = [reward(asked[n : n + cut.step], pictures[n : n + cut.step]) for n in cut]
    found = {"reward": float(torch.cat(parts).mean())}
    if task.prompts == SHAPES:
        return {**found, **oracle.figures(asked, list(pictures))}
    own_diversity = [oracle.diversity(pictures[n : n + num]) for n in range(0, len(asked), num)]
    return {**found, "diversity": sum(own_diversity) / len(own_diversity)}


def _now_and_then(prompts: Sequence[Prompt]) -> Sequence[Prompt]:
    return prompts[:: max(1, len(prompts) // MEASURED_PROMPTS)]


def _watched(
    learner: Learner,
    policy: DiffusionPolicy,
    task: Task,
    prompts: Sequence[Prompt],
    reward: DifferentiableReward,
) -> Learner:
    """The learner, measured on the same noise every so many updates."""

    def figures(update: Update) -> dict[str, float]:
        told = dict(learner.figures(update)) if learner.figures else {}
        if update.number % task.measure_every == 0:
            found = measure(policy, task, _now_and_then(prompts), reward, 2)
            told |= {f"evaluation/{name}": value for name, value in found.items()}
        return told

    return replace(learner, figures=figures)


def _figures(
    folder: RunFolder, task: Task, prompts: Sequence[Prompt], hardware: Hardware, target: Path
) -> list[Figure]:
    start, trained = (load(model, task.drawing, hardware) for model in (task.model, target))
    reward = reward_of(task.reward, start.device)
    before, after = (measure(policy, task, prompts, reward, task.measured) for policy in (start, trained))
    rows = [row for row in _rows(folder.path / "metrics.jsonl") if "reward/mean" in row]
    course = [measure(start, task, _now_and_then(prompts), reward, 2)]
    course += [
        {name: row[f"evaluation/{name}"] for name in before} for row in rows if "evaluation/reward" in row
    ]
    figures = [
        Figure(name="gain", value=after["reward"] - before["reward"], about="reward, after minus before"),
        Figure(
            name="engine_gap",
            value=max(row.get("policy/engine_gap", 0.0) for row in rows),
            about="largest mean distance of replayed from sampled log-probabilities in an update",
        ),
    ]
    for name, value in after.items():
        figures.append(
            Figure(name=name, value=value, about=f"mean {name} of the trained generator's pictures")
        )
        figures.append(Figure(name=f"{name}_start", value=before[name], about="the same before training"))
    for name, value in (at_level(course, task.level) if task.level is not None else {}).items():
        figures.append(
            Figure(name=f"{name}_matched", value=value, about=f"mean {name} at reward {task.level:g}")
        )
    return figures


def at_level(course: Sequence[Mapping[str, float]], level: float) -> dict[str, float]:
    """What was measured when the reward first reached a level, between two measurements; none if never."""
    for before, after in pairwise(course):
        low, high = before["reward"], after["reward"]
        if low < level <= high:
            share = (level - low) / (high - low)
            return {name: before[name] + share * (after[name] - before[name]) for name in before}
    return {}


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
