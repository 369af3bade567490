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

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from stablereward.config import dump
from stablereward.data.questions import read_questions
from stablereward.engines.engine import Sampling
from stablereward.errors import ConfigError
from stablereward.lab.experiment import Arm, Claim, Experiment, Figures, difference
from stablereward.objectives.rankings import kendall
from stablereward.policies.completions import Demonstrations
from stablereward.policies.copies import frozen_copy
from stablereward.policies.forcing import forced
from stablereward.policies.policy import Family
from stablereward.ranges import Count, Number, Proportion, require_ranges
from stablereward.recipes.rounds import AnyGroup, Pupil, Rounds, preferred, writer
from stablereward.recipes.snapshots import Snapshots
from stablereward.recipes.stages import Hardware, Lora, load_policy, stage
from stablereward.report.report import write_report
from stablereward.runs.figures import Figure, write
from stablereward.runs.folder import RunFolder, read_jsonl
from stablereward.runs.machine import keep_machine
from stablereward.runs.progress import say
from stablereward.training.checkpoint import write_folder
from stablereward.training.direct import CONFIDENCE, DPOConfig, with_parts, with_reference
from stablereward.training.imitation import SFTConfig, Shown, imitation_batches, imitation_loss
from stablereward.training.learner import Learner, train
from stablereward.training.mining import extremes
from stablereward.training.optim import OptimConfig
from stablereward.training.planning import Drawing, Update, Work
from stablereward.types import Prompt, Reward
from stablereward.worlds.menu import Menu, Shop, Taste, pick, row

SFT, ROUNDS = "sft", "rounds"
PREVIOUS, CONSISTENCY = "previous", "consistency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The released settings: 5 answers a prompt at temperature 0.8, β 0.1, rate 1e-6, batches of 32.

    `data` has prompts, `demonstrations` prompts with answers. With a `menu` both are the world's.
    """

    model: str = "meta-llama/Meta-Llama-3-8B"
    data: Path | None = None
    demonstrations: Path | None = None
    menu: Menu | None = None
    output: Path = Path("runs/cream")
    confidence: Literal["average", "prompt", "constant", "none"] = "average"
    constant: Proportion = 0.75
    num_rounds: Count = 3
    prompts_per_round: Count = 20_000
    sampling: Sampling = field(
        default_factory=lambda: Sampling(
            num_generations=5, temperature=0.8, top_p=0.95, max_completion_length=768
        )
    )
    sft: SFTConfig = field(
        default_factory=lambda: SFTConfig(epochs=5.0, batch_size=32, optim=OptimConfig(learning_rate=5e-6))
    )
    dpo: DPOConfig = field(default_factory=lambda: DPOConfig(batch_size=32))
    lora: Lora | None = None
    hardware: Hardware = field(default_factory=Hardware)
    seed: Number = 0

    def __post_init__(self) -> None:
        require_ranges(self)


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a run begins with: the pupil, its prompts, what is shown to it, and how a copy of it is frozen."""

    pupil: Pupil
    prompts: Sequence[Any]
    shown: Shown
    freeze: Callable[[], Any]
    family: Callable[[Any], Family[Any, Any]]


class Groups(list[AnyGroup]):
    """Groups to imitate as they are."""

    def pick(self, numbers: Sequence[int]) -> list[AnyGroup]:
        return [self[number] for number in numbers]


def started(config: Config) -> Start:
    """The world's, or those of the files. Raises ConfigError where one is missing."""
    if config.menu is not None:
        shop = Shop(config.menu, config.seed)
        taste = Taste(shop)
        num = config.sampling.num_generations
        pupil = Pupil(
            module=taste,
            family=taste.family(),
            sample=partial(taste.sample, num=num),
            num_generations=num,
            row=row,
            trajectory=pick,
        )
        return Start(
            pupil=pupil,
            prompts=shop.prompts,
            shown=Groups(shop.demonstrations()),
            freeze=lambda: copy.deepcopy(taste).requires_grad_(False),
            family=Taste.family,
        )
    if config.data is None or config.demonstrations is None:
        raise ConfigError("data or demonstrations has no value; give files with --set data=FILE and so on")
    policy = load_policy(config.model, config.hardware, config.lora)
    told = [(one.prompt, one.answer or "") for one in read_questions(config.demonstrations)]
    pupil = writer(policy, config.sampling)
    return Start(
        pupil=pupil,
        prompts=prompts(config),
        shown=Demonstrations(policy, told),
        freeze=lambda: frozen_copy(policy),
        family=lambda model: writer(model, config.sampling).family,
    )


def prompts(config: Config) -> list[Prompt]:
    """What is trained on; none where no file is named."""
    return [] if config.data is None else [one.prompt for one in read_questions(config.data)]


def sums(family: Family[Any, Any], group: AnyGroup) -> list[float]:
    """The log-probability of each of the group's trajectories."""
    return [math.fsum(one.logprobs) for one in forced(family, [group])[0].trajectories]


def agreement(group: AnyGroup) -> float | None:
    """C = (τ + 1) / 2 of a prompt's two rankings; None where one is no order."""
    told = [(r.value, r.parts[PREVIOUS]) for r in group.rewards if isinstance(r, Reward)]
    found = kendall([now for now, _ in told], [before for _, before in told])
    return None if found is None else (found + 1) / 2


def paired(groups: Sequence[AnyGroup], config: Config) -> list[AnyGroup]:
    """The best over the worst of each prompt, with how sure of it the loss may be."""
    known = [(group, own) for group in groups if (own := agreement(group)) is not None]
    mean = sum(own for _, own in known) / max(1, len(known))
    return [
        with_parts(with_parts(pair, CONFIDENCE, [_confidence(config, own, mean)] * 2), CONSISTENCY, [own] * 2)
        for group, own in known
        for pair in extremes(group)
    ]


def _confidence(config: Config, own: float, mean: float) -> float:
    kinds = {"average": mean, "prompt": own, "constant": config.constant, "none": 1.0}
    return kinds[config.confidence]


def imitation(start: Start, config: Config) -> Learner:
    """The demonstrations imitated."""
    family, sft = start.pupil.family, config.sft
    return Learner(
        name="policy",
        module=start.pupil.module,
        batches=lambda done: imitation_batches(start.shown, family.costs, sft, config.seed, done),
        loss=partial(imitation_loss, family.score),
        num_updates=sft.num_updates(len(start.shown)),
        optim=sft.optim,
        cost=lambda share: share.cost,
    )


def learner(folder: RunFolder, start: Start, base: Any, snapshots: Snapshots, config: Config) -> Learner:
    """Rounds in which the policy rewards itself; `base` is M0, frozen."""
    now, first = start.pupil.family, start.family(base)

    def reward(group: AnyGroup) -> list[Reward]:
        reference = sums(first, group)
        if snapshots.newest == 0:
            before = [s / t.num_steps for s, t in zip(reference, group.trajectories, strict=True)]
        else:
            was = sums(start.family(snapshots.at(snapshots.newest - 1)), group)
            before = [a - b for a, b in zip(was, reference, strict=True)]
        own = zip(sums(now, group), reference, before, strict=True)
        return [Reward(value=a - b, parts={PREVIOUS: previous}) for a, b, previous in own]

    return Rounds(
        run=folder,
        stage=ROUNDS,
        pupil=start.pupil,
        prompts=start.prompts,
        prompts_per_round=config.prompts_per_round,
        reward=reward,
        choose=lambda groups, _: with_reference(paired(groups, config), partial(forced, first)),
        lesson=preferred(start.pupil, config.dpo),
        num_rounds=config.num_rounds,
        updates=config.dpo.num_updates(config.prompts_per_round),
        seed=config.seed,
        snapshots=snapshots,
    ).learner()


def run(config: Config, *, resume: bool = False) -> Path:
    """Trains in rounds; returns the run folder, with the policy in `policy/`."""
    start = started(config)
    folder = RunFolder(config.output)
    with folder.running(dump(config), resume=resume):
        keep_machine(folder.path, "cream")
        module, save_every = start.pupil.module, config.hardware.save_every
        base, frozen = start.freeze(), start.freeze()
        taught = Snapshots(folder, SFT, module, frozen)
        if taught.has(0):
            taught.restore(0)
        else:
            with stage(folder, SFT):
                train(folder, SFT, imitation(start, config), save_every=save_every)
            taught.take(0)
        snapshots = Snapshots(folder, ROUNDS, module, frozen)
        with stage(folder, ROUNDS):
            train(folder, ROUNDS, learner(folder, start, base, snapshots, config), save_every=save_every)
        target = folder.path / "policy"
        if not target.exists():
            write_folder(target, module.save)
        write(folder.path, [*_agreed(folder, config), *_worth(module, base, snapshots, config)])
        say(f"report: {write_report(folder.path, tell=say)}")
    return folder.path


def _agreed(folder: RunFolder, config: Config) -> list[Figure]:
    """The mean C of every round's pairs."""
    rows = [row for _, row in read_jsonl(folder.path / "metrics.jsonl") if row.get("stage") == ROUNDS]
    by_update = {row["update"]: row for row in rows if f"chosen/{CONSISTENCY}" in row}
    updates = config.dpo.num_updates(config.prompts_per_round)
    return [
        Figure(
            name=f"consistency_{n}",
            value=by_update[n * updates][f"chosen/{CONSISTENCY}"],
            about=f"agreement of the rankings of round {n}",
        )
        for n in range(1, config.num_rounds + 1)
    ]


def _worth(module: Any, base: Any, snapshots: Snapshots, config: Config) -> list[Figure]:
    """What the answers are worth: of M0, of the policy that began each round, and of the last."""
    if not isinstance(module, Taste):
        return []
    worths = [
        base.utility(),
        *(snapshots.at(n).utility() for n in range(config.num_rounds)),
        module.utility(),
    ]
    return [
        Figure(name=f"gold_{n}", value=value, about=f"mean hidden utility of an answer of M{n}")
        for n, value in enumerate(worths)
    ]


def works(config: Config) -> list[Work]:
    """Both stages as a planner of memory sees them; M0 and a snapshot come on top."""
    length, rank = config.sampling.max_completion_length, None if config.lora is None else config.lora.rank
    num, checkpointing = config.sampling.num_generations, config.hardware.gradient_checkpointing
    shown = Update(
        prompts=config.sft.batch_size, group=1, completion=length, token_budget=config.sft.token_budget
    )
    pairs = Update(
        prompts=config.dpo.batch_size, group=2, completion=length, token_budget=config.dpo.token_budget
    )
    drawing = Drawing(group=num, completion=length, prompts=config.prompts_per_round)
    return [
        Work(name=SFT, update=shown, rank=rank, checkpointing=checkpointing),
        Work(
            name=ROUNDS, update=pairs, drawing=drawing, reference=True, rank=rank, checkpointing=checkpointing
        ),
    ]


def tiny() -> Config:
    """The world of menus: seconds on one core."""

    def constant(learning_rate: float) -> OptimConfig:
        return OptimConfig(learning_rate=learning_rate, schedule="constant", warmup=0.0)

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
        "cream": Arm(about="the mean agreement of a round as the label's confidence"),
        "plain": Arm(about="plain self-rewarding: confidence 1", changes=("confidence=none",)),
        "prompt": Arm(about="each prompt's own agreement", changes=("confidence=prompt",)),
        "constant": Arm(about="confidence .75 throughout", changes=("confidence=constant",)),
    },
    figures={
        "gold_1": "hidden utility of an answer after the demonstrations",
        "gold_4": "the same after three rounds",
        "consistency_1": "agreement of the two rankings in the first round",
        "consistency_3": "the same in the third",
    },
    claims=(
        Claim(says="The set-up can be learnt: demonstrations raise the utility", above=0.1, positive=True,
              measure=lambda arms: arms["cream"]["gold_1"] - arms["cream"]["gold_0"], control="M0"),
        Claim(says="There is something to cure: plain self-rewarding gains less in its last round than in "
              "its first", measure=_later, below=0.0, positive=True, control="a steady gain"),
        Claim(says="CREAM ends above plain self-rewarding", measure=difference("gold_4", "cream", "plain"),
              above=0.0, control="confidence 1"),
        Claim(says="CREAM ends above a constant smoothing", measure=difference("gold_4", "cream", "constant"),
              above=0.0, control="a confidence that is not measured"),
        Claim(says="A prompt's own agreement is worth more than the mean", above=0.0,
              measure=difference("gold_4", "prompt", "cream"), control="the same mean for all"),
        Claim(says="Rankings agree more after two rounds", above=0.0, control="the first round",
              measure=lambda arms: arms["cream"]["consistency_3"] - arms["cream"]["consistency_1"]),
        Claim(says="They agree more than without the regulariser", above=0.0,
              measure=difference("consistency_3", "cream", "plain"), control="confidence 1"),
        Claim(says="Self-rewarding gains at all", measure=lambda arms: arms["plain"]["gold_4"]
              - arms["plain"]["gold_1"], above=0.0, control="the policy after the demonstrations"),
    ),
    watched=((ROUNDS, "pairs/accuracy"), (ROUNDS, "pairs/margin")),
    notes="A policy of twelve numbers on 20 prompts with 30 answers each. It begins with a bias that has "
    "nothing to do with the utility, and the demonstrations have it too.",
)  # fmt: skip
