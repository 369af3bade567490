"""CREAM (https://arxiv.org/abs/2410.12735): a policy rewards itself, as far as it agrees with what it was.

    M0 → demonstrations imitated → M1 → N answers a prompt, ranked by the policy as it is and as it was
    r_t = log π_t(y|x) - log π_0(y|x)      C = (τ + 1) / 2, τ Kendall's of the two rankings
    pair: the highest r_t over the lowest; loss C (-log σ(z)) + (1 - C) (-log σ(-z)), z = β times DPO's margin

The reference of reward and loss is M0; before the first round it was M0, which ranks by the mean
log-probability of a token. `confidence` "average" takes the mean C of a round's prompts, the paper's;
"prompt" each prompt's own; "constant" a fixed one, and "none" is 1: plain self-rewarding. C = ½ holds the
policy still.

Deviations: τ is τ-b, so that equal answers are no order; the released code makes one of them. Traps there:
with its `toporder` the ranks of list items 0 and -1 are compared, not of the best and worst; and where a
prompt is skipped, the C of every later one goes to its neighbour (here each pair carries its own).

Status: toy-verified (docs/recipes/cream.md); the full scale is untested.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from stablereward.engines.engine import Sampling
from stablereward.lab.experiment import Claim, Experiment, Figures, arm, gain, more
from stablereward.ranges import Proportion
from stablereward.recipes import self_rewarding
from stablereward.recipes.rounds import AnyGroup
from stablereward.recipes.self_rewarding import ROUNDS, SelfRewarding, consistency, prompts, works
from stablereward.recipes.stages import Hardware
from stablereward.runs.figures import Figure
from stablereward.training.direct import CONFIDENCE, DPOConfig, with_parts
from stablereward.training.imitation import SFTConfig
from stablereward.training.mining import extremes
from stablereward.training.optim import OptimConfig, constant
from stablereward.worlds.menu import Menu

__all__ = ["EXPERIMENT", "Config", "prompts", "run", "tiny", "works"]

CONSISTENCY = "consistency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(SelfRewarding):
    """The released settings: 5 answers a prompt at temperature 0.8, β 0.1, rate 1e-6, batches of 32."""

    model: str = "meta-llama/Meta-Llama-3-8B"
    output: Path = Path("runs/cream")
    confidence: Literal["average", "prompt", "constant", "none"] = "average"
    constant: Proportion = 0.75
    sampling: Sampling = field(
        default_factory=lambda: Sampling(
            num_generations=5, temperature=0.8, top_p=0.95, max_completion_length=768
        )
    )
    sft: SFTConfig = field(
        default_factory=lambda: SFTConfig(epochs=5.0, batch_size=32, optim=OptimConfig(learning_rate=5e-6))
    )
    dpo: DPOConfig = field(default_factory=lambda: DPOConfig(batch_size=32))


def paired(groups: Sequence[AnyGroup], config: Config) -> list[AnyGroup]:
    """The best over the worst of each prompt, with how sure of it the loss may be."""
    known = [(group, own) for group in groups if (own := consistency(group)) is not None]
    mean = sum(own for _, own in known) / max(1, len(known))
    kinds: dict[str, Callable[[float], float]] = {
        "average": lambda own: mean,
        "prompt": lambda own: own,
        "constant": lambda own: config.constant,
        "none": lambda own: 1.0,
    }
    return [
        with_parts(with_parts(pair, CONFIDENCE, [kinds[config.confidence](own)] * 2), CONSISTENCY, [own] * 2)
        for group, own in known
        for pair in extremes(group)
    ]


def course(rounds: Sequence[Mapping[str, float]]) -> list[Figure]:
    """The mean C of every round's pairs."""
    told = [(n, row[f"chosen/{CONSISTENCY}"]) for n, row in enumerate(rounds, 1)]
    about = "agreement of the rankings of round"
    return [Figure(name=f"consistency_{n}", value=value, about=f"{about} {n}") for n, value in told]


def run(config: Config, *, resume: bool = False) -> Path:
    """Trains in rounds; returns the run folder, with the policy in `policy/`."""
    return self_rewarding.run(
        "cream", config, lambda groups, _: paired(groups, config), course, resume=resume
    )


def tiny() -> Config:
    """The world of menus: seconds on one core."""
    return Config(
        menu=Menu(),
        prompts_per_round=20,
        sampling=Sampling(num_generations=5),
        sft=SFTConfig(epochs=20.0, batch_size=20, optim=constant(0.05)),
        dpo=DPOConfig(epochs=30.0, batch_size=20, optim=constant(0.05)),
        hardware=Hardware(device="cpu"),
    )


def _later(arms: Mapping[str, Figures]) -> float:
    """How much more the last round of plain self-rewarding gains than its first."""
    plain = arms["plain"]
    return (plain["gold_4"] - plain["gold_3"]) - (plain["gold_2"] - plain["gold_1"])


EXPERIMENT = Experiment(
    says="Rankings of Llama-3 agree with those of the round before by about .73, and by .92 with the "
    "regulariser; plain self-rewarding gains less from round to round, and CREAM goes on to gain.",
    arms={
        "cream": arm("the mean agreement of a round as the label's confidence"),
        "plain": arm("plain self-rewarding: confidence 1", "confidence=none"),
        "prompt": arm("each prompt's own agreement", "confidence=prompt"),
        "constant": arm("confidence .75 throughout", "confidence=constant"),
    },
    figures={
        "gold_1": "hidden utility of an answer after the demonstrations",
        "gold_4": "the same after three rounds",
        "consistency_1": "agreement of the two rankings in the first round",
        "consistency_3": "the same in the third",
    },
    claims=(
        Claim("The set-up can be learnt: demonstrations raise the utility",
              gain("gold_1", "cream", "gold_0"), "M0", above=0.1, positive=True),
        Claim("There is something to cure: plain self-rewarding gains less in its last round than in "
              "its first", _later, "a steady gain", below=0.0, positive=True),
        more("CREAM ends above plain self-rewarding", "gold_4", "cream", "plain", control="confidence 1"),
        more("CREAM ends above a constant smoothing", "gold_4", "cream", "constant",
             control="a confidence that is not measured"),
        more("A prompt's own agreement is worth more than the mean", "gold_4", "prompt", "cream",
             control="the same mean for all"),
        Claim("Rankings agree more after two rounds", gain("consistency_3", "cream", "consistency_1"),
              "the first round", above=0.0),
        more("They agree more than without the regulariser", "consistency_3", "cream", "plain",
             control="confidence 1"),
        Claim("Self-rewarding gains at all", gain("gold_4", "plain", "gold_1"),
              "the policy after the demonstrations", above=0.0),
    ),
    watched=((ROUNDS, "pairs/accuracy"), (ROUNDS, "pairs/margin")),
    notes="A policy of twelve numbers on 20 prompts with 30 answers each. It begins with a bias that has "
    "nothing to do with the utility, and the demonstrations have it too. The world was changed once after a "
    "look at seed 100, which is not among the seeds here, and all four arms were seen on that seed.",
)  # fmt: skip
