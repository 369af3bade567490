"""Helping or herding (https://arxiv.org/abs/2312.09244): reward models taken together against hacking.

    pretrained backbones ── fine-tuned by seeds ── r_1 … r_5 ── mean, median, worst, mean - std ── best of n
    loss of each: -log σ(r of the better - r of the worse) + η·(r_w + r_l)², which makes members comparable

A pretrain ensemble has members of different pretraining seeds (`models` has as many as `num_members`), a
finetune ensemble has one model and different seeds. Neither helps against what all members learn alike.

Deviations: decoders in place of T5, for Pythia too has pretraining seeds (its folders need a chat template);
η is TRL's 0.01, the paper's was not found; the paper's body was not read. PPO is left to the recipes of RL.

Status: toy-verified with `tiny()` (docs/recipes/ensembles.md); the full scale is untested.
"""

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
from stablereward.lab.experiment import Arm, Claim, Experiment, Measure, difference, level, ratio
from stablereward.objectives.combination import mean, mean_minus_std, median, worst
from stablereward.policies.scalar import dialogue, load_scorer
from stablereward.policies.scalar_head import HeadConfig
from stablereward.ranges import NotNegative, Number, Size, require_ranges
from stablereward.recipes.judges.base_reward import asked
from stablereward.recipes.measuring import Subject, measure
from stablereward.recipes.scalar import accuracies, learn, preferences, started
from stablereward.recipes.sources import Data
from stablereward.recipes.stages import Hardware, Lora, stage
from stablereward.report.report import write_report
from stablereward.runs import figures
from stablereward.runs.figures import Figure
from stablereward.runs.folder import RunFolder
from stablereward.runs.progress import say
from stablereward.training.optim import OptimConfig
from stablereward.training.pairwise import RewardConfig, centred
from stablereward.training.planning import Update, Work
from stablereward.worlds.showy import Hidden, Showy, candidates, labelled
from stablereward.worlds.utility import PointScorer

__all__ = ["EXPERIMENT", "Config", "asked", "run", "tiny", "works"]

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
class Config:
    """Five members of five pretraining seeds. In a `showy` world `models` name frozen feature maps."""

    models: tuple[str, ...] = tuple(f"EleutherAI/pythia-410m-seed{n}" for n in range(1, 6))
    num_members: Size = 5
    data: Data = field(default_factory=Data)
    output: Path = Path("runs/ensembles")
    head: HeadConfig = field(default_factory=lambda: HeadConfig(layers=1))
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


def run(config: Config, *, resume: bool = False) -> Path:
    """Trains and measures; returns the run folder, with the members in `judge-1/`, `judge-2/`, …."""
    folder = RunFolder(config.output)
    with folder.running(dump(config), resume=resume):
        if config.showy is None:
            _on_dialogues(config, folder)
        else:
            _on_points(config, config.showy, folder)
        say(f"report: {write_report(folder.path, tell=say)}")
    return folder.path


def _on_dialogues(config: Config, folder: RunFolder) -> None:
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


def _on_points(config: Config, world: Showy, folder: RunFolder) -> None:
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


def _learnt(config: Config, folder: RunFolder, member: int, start, shown) -> Path:  # type: ignore[no-untyped-def]
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


def works(config: Config) -> list[Work]:
    """The members as a planner of memory sees them; one is in memory at a time."""
    size, budget = config.reward.batch_size, config.reward.token_budget
    update = Update(prompts=size, group=2, completion=512, token_budget=budget, words=False)
    rank = None if config.lora is None else config.lora.rank
    checkpointing = config.hardware.gradient_checkpointing
    return [Work(name="reward", update=update, rank=rank, checkpointing=checkpointing)]


def tiny() -> Config:
    """Heads of two SiLU layers on five random feature maps of a showy world: seconds."""
    return Config(
        models=tuple(f"map {n}" for n in range(1, 6)),
        output=Path("runs/ensembles-tiny"),
        head=HeadConfig(),
        reward=RewardConfig(
            epochs=10.0, batch_size=50, optim=OptimConfig(learning_rate=3e-3, warmup=0.05, final=0.05)
        ),
        showy=Showy(),
        hardware=Hardware(save_every=1000),
    )


def gained(arm: str, how: str = "mean") -> Measure:
    """What taking an arm's members together adds to the gold of one of them."""
    return lambda arms: arms[arm][how] - arms[arm]["single"]


EXPERIMENT = Experiment(
    says="Best-of-64 wins against the policy's own answer: one model 85.3, finetune ensemble 87.3, pretrain "
    "ensemble 90. All ensembles are still hacked where their members err alike: lists, lengths.",
    arms={
        "pretrain": Arm(about="five feature maps"),
        "finetune": Arm(about="one feature map, five seeds", changes=("models=[map 1]",)),
        "not centred": Arm(about="five feature maps, η = 0", changes=("center_rewards_coefficient=0",)),
        "not showy": Arm(about="what is showy is not better in training", changes=("showy.correlation=0",)),
    },
    figures={
        "single": "gold of best-of-64 by one member, the mean over members",
        "mean": "the same by their mean",
        "worst": "by the lowest of their scores",
        "mean_minus_std": "by mean minus deviation",
        "single_lost": "gold that one member loses from its best n to 64",
        "mean_lost": "the same of their mean",
        "showy": "showiness of what the mean chooses, in deviations",
        "offset": "how far members' constants lie apart, in deviations of scores",
        "worst_shifted": "by the lowest, where every member has a constant of its own for each question",
    },
    claims=(
        Claim(says="The set-up learns: best-of-4 by one member is better than a response at random",
              measure=level("single_gain", "pretrain"), above=0.1, positive=True, control="no choice"),
        Claim(says="The set-up can be hacked: one member loses gold up to n = 64", above=0.0,
              measure=level("single_lost", "pretrain"), positive=True, control="training without showiness"),
        Claim(says="A pretrain ensemble's mean is better than one member", above=0.0,
              measure=gained("pretrain"), control="the same members alone"),
        Claim(says="So is a finetune ensemble's", above=0.0, measure=gained("finetune"),
              control="the same members alone"),
        Claim(says="The pretrain ensemble gains more than the finetune ensemble", above=0.0,
              measure=lambda arms: gained("pretrain")(arms) - gained("finetune")(arms),
              control="as many members and updates"),
        Claim(says="Mean minus deviation is better than the mean", above=0.0,
              measure=lambda arms: arms["pretrain"]["mean_minus_std"] - arms["pretrain"]["mean"],
              control="the same members"),
        Claim(says="The mean too is over-optimised: it loses gold up to n = 64", above=0.0,
              measure=level("mean_lost", "pretrain"), control="training without showiness"),
        Claim(says="What all members learnt alike is exploited", above=0.5,
              measure=difference("showy", "pretrain", "not showy"), control="training without showiness"),
        Claim(says="Centring brings members' constants together: less than half as far apart", below=0.5,
              measure=ratio("offset", "pretrain", "not centred"), control="η = 0"),
        Claim(says="Where members differ by a constant a question, their lowest score is worse", below=0.0,
              measure=lambda arms: arms["pretrain"]["worst_shifted"] - arms["pretrain"]["worst"],
              control="the same members unshifted"),
        Claim(says="Their mean is not", above=-0.001, control="the same constants",
              measure=lambda arms: arms["pretrain"]["mean_shifted"] - arms["pretrain"]["mean"]),
    ),
    watched=(("reward 1", "loss"), ("reward 1", "pairs/accuracy")),
    notes="The world was set on seeds 100 to 104 by one member's gain and loss alone. A first run of these "
    "claims, in which harm grew with the square and annotators saw it, failed its tests of the set-up: gain "
    "0.341 [−0.039, 0.720], loss 0.296 [−0.503, 1.10]. Of the others it showed the pretrain ensemble's gain, "
    "0.077 [0.000, 0.154], that what is learnt alike is exploited, 1.2 [0.853, 1.54], and that centring "
    "brings constants together, 0.295 [0.225, 0.364]; harm is now linear and unseen by annotators.",
)  # fmt: skip
