"""Several reward models in one run: trained one after the other, measured alone and taken together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from stablereward.config import dump
from stablereward.evaluation import over_optimization
from stablereward.evaluation.over_optimization import Curve, best_of_n, curve
from stablereward.judges.combined import Combined
from stablereward.judges.controls import longer_wins
from stablereward.judges.scalar import Scalar
from stablereward.objectives.combination import mean, mean_minus_std, median, worst
from stablereward.policies.scalar import dialogue, load_scorer
from stablereward.policies.scalar_head import HeadConfig
from stablereward.ranges import NotNegative, Number, Size, require_ranges
from stablereward.recipes.measuring import Subject, measure
from stablereward.recipes.scalar import accuracies, learn, preferences, started
from stablereward.recipes.sources import Data
from stablereward.recipes.stages import Hardware, Lora, stage
from stablereward.report.report import write_report
from stablereward.runs import figures
from stablereward.runs.figures import Figure
from stablereward.runs.folder import RunFolder
from stablereward.runs.progress import say
from stablereward.training.pairwise import RewardConfig, centred
from stablereward.training.planning import Update, Work
from stablereward.worlds.showy import Hidden, Showy, candidates, labelled
from stablereward.worlds.utility import PointScorer

COMBINES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "mean": mean,
    "median": median,
    "worst": worst,
    "mean_minus_std": mean_minus_std,
}
NS = (1, 2, 4, 8, 16, 32, 64)
SHIFT = 3.0
"""Deviation of the constants that the control adds to a member's scores, one a question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """What is set for all members. In a `showy` world `models` name frozen feature maps."""

    models: tuple[str, ...]
    num_members: Size = 5
    data: Data = field(default_factory=Data)
    output: Path
    head: HeadConfig = field(default_factory=HeadConfig)
    reward: RewardConfig = field(default_factory=RewardConfig)
    center_rewards_coefficient: NotNegative = 0.01
    showy: Showy | None = None
    lora: Lora | None = None
    hardware: Hardware = field(default_factory=Hardware)
    seed: Number = 0

    def __post_init__(self) -> None:
        require_ranges(self)

    @property
    def model(self) -> str:
        """That of the first member, for a plan."""
        return self.models[0]

    def place(self, member: int) -> int:
        """Which of the models a member begins from."""
        return member % len(self.models)

    def member_seed(self, member: int) -> int:
        """Of its head and of the order of its data."""
        return 1000 * self.seed + member


def run(config: Members, *, resume: bool) -> Path:
    """Trains and measures; returns the run folder, with the members in `judge-1/`, `judge-2/`, …."""
    folder = RunFolder(config.output)
    with folder.running(dump(config), resume=resume):
        if config.showy is None:
            _on_dialogues(config, folder)
        else:
            _on_points(config, config.showy, folder)
        say(f"report: {write_report(folder.path, tell=say)}")
    return folder.path


def _on_dialogues(config: Members, folder: RunFolder) -> None:
    with stage(folder, "data"):
        found = preferences(folder, config.models[0], config.data, config.seed)
    shown = [dialogue(one) for one in found.train]
    paths = []
    for member in range(config.num_members):
        model, seed = config.models[config.place(member)], config.member_seed(member)
        start = partial(started, model, config.head, config.hardware, config.lora, seed)
        paths.append(_learnt(config, folder, member, start, shown))
    with stage(folder, "measurement"):
        members = tuple(load_scorer(path, device=config.hardware.device) for path in paths)
        judges = {f"member {n}": Scalar(model=one) for n, one in enumerate(members, 1)}
        for name, combine in COMBINES.items():
            judges[name] = Scalar(model=Combined(scorers=members, combine=combine))
        subjects = [
            Subject(name=name, role="trained", judge=partial(_given, judge)) for name, judge in judges.items()
        ]
        subjects.append(Subject(name="longer wins", role="control", judge=lambda votes: longer_wins))
        measure(folder, subjects, found.held_out)
        figures.write(folder.path, accuracies(folder))


Given = TypeVar("Given")


def _given(one: Given, *_: object) -> Given:
    """What is there already."""
    return one


def _on_points(config: Members, world: Showy, folder: RunFolder) -> None:
    hidden, scores = candidates(world, config.seed), []
    for member in range(config.num_members):
        map_seed = 100 * config.seed + config.place(member)
        scorer = PointScorer(world.features, config.head, config.member_seed(member))
        shown = labelled(world, config.seed, map_seed)
        scorer.read(_learnt(config, folder, member, partial(_given, scorer), shown))
        with torch.no_grad():
            scores.append(scorer.head(hidden.features(world.features, map_seed))[:, 0])
    told, curves = _figures(torch.stack(scores), hidden, world, config.seed)
    over_optimization.write(folder.path, curves)
    figures.write(folder.path, told)


def _learnt(config: Members, folder: RunFolder, member: int, start, shown) -> Path:  # type: ignore[no-untyped-def]
    return learn(
        folder,
        start,
        shown,
        config.reward,
        config.hardware,
        config.member_seed(member),
        comparison=partial(centred, config.center_rewards_coefficient),
        name=f"judge-{member + 1}",
        stage=f"reward {member + 1}",
    )


def _figures(
    scores_MN: Tensor, hidden: Hidden, world: Showy, seed: int
) -> tuple[list[Figure], dict[str, Curve]]:
    """What best-of-n is worth by each way to combine, and by each member on its own."""
    shape = (len(scores_MN), world.num_questions, world.num_candidates)
    scores_MPN = scores_MN.double().view(shape)
    gold_PN, showy_PN = (one.double().view(shape[1:]).numpy() for one in (hidden.gold_N, hidden.showy_N))
    drawn = torch.Generator().manual_seed(2**26 + seed)
    shifts_MP1 = SHIFT * torch.randn((*shape[:2], 1), generator=drawn, dtype=torch.float64)

    def combined(scores_MPN: Tensor) -> dict[str, Sequence[np.ndarray]]:
        flat_MN = scores_MPN.reshape(shape[0], -1)
        return {name: list(one(flat_MN).view(shape[1:]).numpy()) for name, one in COMBINES.items()}

    proxies, shifted = combined(scores_MPN), combined(scores_MPN + shifts_MP1)
    members = [list(one.numpy()) for one in scores_MPN]
    curves = {name: curve(proxy, list(gold_PN), NS) for name, proxy in proxies.items()}
    alone = [curve(proxy, list(gold_PN), NS) for proxy in members]
    told = [Figure(name="offset", value=_offset(scores_MPN), about="how far members' constants lie apart")]
    for name, some in {"single": alone, **{name: [one] for name, one in curves.items()}}.items():
        last = float(np.mean([one.points[-1].gold.value for one in some]))
        lost = float(np.mean([one.lost.value for one in some]))
        told += [
            Figure(name=name, value=last, about=f"gold of best-of-{NS[-1]}, {name}"),
            Figure(name=f"{name}_lost", value=lost, about=f"gold lost from its best n to {NS[-1]}"),
        ]
    gain = float(np.mean([one.points[2].gain.value for one in alone]))
    told.append(Figure(name="single_gain", value=gain, about="gold that best-of-4 by one member gains"))
    for name in ("mean", "worst"):
        value = float(best_of_n(shifted[name], list(gold_PN), NS[-1]).mean())
        told.append(
            Figure(name=f"{name}_shifted", value=value, about=f"{name}, of members shifted by question")
        )
    chosen = best_of_n(proxies["mean"], list(showy_PN), NS[-1]).mean() / world.spread
    about = "showiness of what the mean chooses, in deviations"
    told.append(Figure(name="showy", value=float(chosen), about=about))
    return told, {"one member": alone[0], **curves}


def _offset(scores_MPN: Tensor) -> float:
    """The deviation over members of a question's mean score, in deviations of scores within a question."""
    centre_MP = scores_MPN.mean(dim=2)
    return float(centre_MP.std(dim=0).mean() / scores_MPN.std(dim=2).mean())


def works(config: Members) -> list[Work]:
    """The members as a planner of memory sees them; one is in memory at a time."""
    size, budget = config.reward.batch_size, config.reward.token_budget
    update = Update(prompts=size, group=2, completion=512, token_budget=budget, words=False)
    rank = None if config.lora is None else config.lora.rank
    checkpointing = config.hardware.gradient_checkpointing
    return [Work(name="reward", update=update, rank=rank, checkpointing=checkpointing)]
