"""Helping or herding (https://arxiv.org/abs/2312.09244): reward models taken together against hacking.

    pretrained backbones ── fine-tuned by seeds ── r_1 … r_5 ── mean, median, worst, mean - std ── best of n
    loss of each: -log σ(r of the better - r of the worse) + η·(r_w + r_l)², which makes members comparable

A pretrain ensemble has members of different pretraining seeds (`models` has as many as `num_members`), a
finetune ensemble has one model and different seeds. Neither helps against what all members learn alike.

Deviations: decoders in place of T5, for Pythia too has pretraining seeds (its folders need a chat template);
η is TRL's 0.01, the paper's was not found; the paper's body was not read. PPO is left to the recipes of RL.

Status: runs with `tiny()`, whose evidence is not conclusive (docs/recipes/ensembles.md).
"""

from dataclasses import dataclass, field
from pathlib import Path

from stablereward.lab.experiment import Arm, Claim, Experiment, Measure, difference, level, ratio
from stablereward.policies.scalar_head import HeadConfig
from stablereward.recipes import members
from stablereward.recipes.members import Members, works
from stablereward.recipes.scorers import asked
from stablereward.recipes.stages import Hardware
from stablereward.training.optim import OptimConfig
from stablereward.training.pairwise import RewardConfig
from stablereward.worlds.showy import Showy

__all__ = ["EXPERIMENT", "Config", "asked", "run", "tiny", "works"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(Members):
    """Five members of five pretraining seeds, each with a linear head."""

    models: tuple[str, ...] = tuple(f"EleutherAI/pythia-410m-seed{n}" for n in range(1, 6))
    output: Path = Path("runs/ensembles")
    head: HeadConfig = field(default_factory=lambda: HeadConfig(layers=1))


def run(config: Config, *, resume: bool = False) -> Path:
    """Trains and measures; returns the run folder, with the members in `judge-1/`, `judge-2/`, …."""
    return members.run(config, resume=resume)


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
    "brings constants together, 0.295 [0.225, 0.364]; harm is now linear and unseen by annotators. "
    "Both tests of the set-up fail in the evidence here too: seeds differ more than members, so that what "
    "is not shown is no null.",
)  # fmt: skip
