"""Policies that imitate demonstrations, then reward themselves round after round: what such recipes share.

    M0 → demonstrations imitated → M1 → answers to each prompt, rewarded by r_t = log π_t(y|x) - log π_0(y|x)
       → pairs → DPO against M0 → M2 → …

`judges/cream.py` is one.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from stablereward.config import dump
from stablereward.data.questions import read_questions
from stablereward.engines.engine import Sampling
from stablereward.errors import ConfigError
from stablereward.objectives.rankings import agreement
from stablereward.policies.completions import Demonstrations
from stablereward.policies.forcing import forced
from stablereward.policies.policy import Family
from stablereward.ranges import Count, Number, require_ranges
from stablereward.recipes import works as stages
from stablereward.recipes.pairs import mined
from stablereward.recipes.pupils import Pupil, picker, writer
from stablereward.recipes.rounds import AnyGroup, Choose
from stablereward.recipes.snapshots import Snapshots
from stablereward.recipes.stages import Hardware, Lora, load_policy, stage
from stablereward.report.report import write_report
from stablereward.rewards.reward import GroupReward
from stablereward.runs.figures import Figure, write
from stablereward.runs.folder import RunFolder, read_jsonl
from stablereward.runs.machine import keep_machine
from stablereward.runs.progress import say
from stablereward.training.checkpoint import write_folder
from stablereward.training.direct import DPOConfig
from stablereward.training.imitation import SFTConfig, Shown, imitation_batches, imitation_loss
from stablereward.training.learner import Learner, train
from stablereward.training.planning import Drawing, Work
from stablereward.types import Prompt, Reward
from stablereward.worlds.menu import Menu, Shop, Taste

SFT, ROUNDS = "sft", "rounds"
PREVIOUS = "previous"
"""The part of a reward that says how the policy of the round before ranks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfRewarding:
    """`num_rounds` times `sampling` for `prompts_per_round` prompts and `dpo`, after `sft`.

    `data` has prompts, `demonstrations` prompts with answers. With a `menu` both are the world's.
    """

    model: str
    data: Path | None = None
    demonstrations: Path | None = None
    menu: Menu | None = None
    output: Path
    num_rounds: Count = 3
    prompts_per_round: Count = 20_000
    sampling: Sampling = field(default_factory=Sampling)
    sft: SFTConfig = field(default_factory=SFTConfig)
    dpo: DPOConfig = field(default_factory=DPOConfig)
    lora: Lora | None = None
    hardware: Hardware = field(default_factory=Hardware)
    seed: Number = 0

    def __post_init__(self) -> None:
        require_ranges(self)


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a run begins with: the pupil, its prompts, and what is shown to it."""

    pupil: Pupil
    prompts: Sequence[Any]
    shown: Shown


class Groups(list[AnyGroup]):
    """Groups to imitate as they are."""

    def pick(self, numbers: Sequence[int]) -> list[AnyGroup]:
        return [self[number] for number in numbers]


def started(config: SelfRewarding) -> Start:
    """The world's, or those of the files. Raises ConfigError where one is missing."""
    if config.menu is not None:
        shop = Shop(config.menu, config.seed)
        pupil = picker(Taste(shop), config.sampling.num_generations)
        return Start(pupil=pupil, prompts=shop.prompts, shown=Groups(shop.demonstrations()))
    if config.data is None or config.demonstrations is None:
        raise ConfigError("data or demonstrations has no value; give files with --set data=FILE and so on")
    policy = load_policy(config.model, config.hardware, config.lora)
    told = [(one.prompt, one.answer or "") for one in read_questions(config.demonstrations)]
    pupil = writer(policy, config.sampling)
    return Start(pupil=pupil, prompts=prompts(config), shown=Demonstrations(policy, told))


def prompts(config: SelfRewarding) -> list[Prompt]:
    """What is trained on; none where no file is named."""
    return [] if config.data is None else [one.prompt for one in read_questions(config.data)]


def imitation(start: Start, config: SelfRewarding) -> Learner:
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


def own_reward(pupil: Pupil, base: Family[Any, Any], snapshots: Snapshots) -> GroupReward:
    """r_t of every trajectory, and as `PREVIOUS` what the round before would have given it.

    Before the first round the policy was M0, which ranks by the mean log-probability of a step.
    """

    def reward(group: AnyGroup) -> list[Reward]:
        reference = _sums(base, group)
        if snapshots.newest == 0:
            before = [s / t.num_steps for s, t in zip(reference, group.trajectories, strict=True)]
        else:
            was = _sums(pupil.family_of(snapshots.at(snapshots.newest - 1)), group)
            before = [a - b for a, b in zip(was, reference, strict=True)]
        own = zip(_sums(pupil.family, group), reference, before, strict=True)
        return [Reward(value=a - b, parts={PREVIOUS: previous}) for a, b, previous in own]

    return reward


def _sums(family: Family[Any, Any], group: AnyGroup) -> list[float]:
    """The log-probability of each of the group's trajectories."""
    return [math.fsum(one.logprobs) for one in forced(family, [group])[0].trajectories]


def consistency(group: AnyGroup) -> float | None:
    """How far a prompt's answers are ranked as in the round before, in [0, 1]; None where one is no order."""
    told = [(r.value, r.parts[PREVIOUS]) for r in group.rewards if isinstance(r, Reward)]
    return agreement([now for now, _ in told], [before for _, before in told])


Course = Callable[[Sequence[Mapping[str, float]]], list[Figure]]
"""Figures from what was measured when each round began."""


def run(name: str, config: SelfRewarding, mine: Choose, course: Course, *, resume: bool) -> Path:
    """Trains in rounds; returns the run folder, with the policy in `policy/`."""
    start = started(config)
    folder = RunFolder(config.output)
    with folder.running(dump(config), resume=resume):
        keep_machine(folder.path, name)
        pupil, save_every = start.pupil, config.hardware.save_every
        base, frozen = pupil.frozen(), pupil.frozen()
        taught = Snapshots(folder, SFT, pupil.module, frozen)
        if taught.has(0):
            taught.restore(0)
        else:
            with stage(folder, SFT):
                train(folder, SFT, imitation(start, config), save_every=save_every)
            taught.take(0)
        snapshots = Snapshots(folder, ROUNDS, pupil.module, frozen)
        with stage(folder, ROUNDS):
            learner = _rounds(folder, start, pupil.family_of(base), mine, snapshots, config)
            train(folder, ROUNDS, learner, save_every=save_every)
        target = folder.path / "policy"
        if not target.exists():
            write_folder(target, pupil.module.save)
        write(folder.path, [*course(_begun(folder, config)), *_worth(pupil.module, base, snapshots, config)])
        say(f"report: {write_report(folder.path, tell=say)}")
    return folder.path


def _rounds(
    folder: RunFolder,
    start: Start,
    base: Family[Any, Any],
    mine: Choose,
    snapshots: Snapshots,
    config: SelfRewarding,
) -> Learner:
    return mined(
        folder,
        ROUNDS,
        start.pupil,
        start.prompts,
        own_reward(start.pupil, base, snapshots),
        mine,
        config.dpo,
        num_rounds=config.num_rounds,
        prompts_per_round=config.prompts_per_round,
        reference=base,
        seed=config.seed,
        snapshots=snapshots,
    )


def _begun(folder: RunFolder, config: SelfRewarding) -> list[dict[str, float]]:
    """What was measured when each round began. Raises DataError for a damaged file."""
    rows = [row for _, row in read_jsonl(folder.path / "metrics.jsonl") if row.get("stage") == ROUNDS]
    by_update = {row["update"]: row for row in rows if "event" not in row}
    updates = config.dpo.num_updates(config.prompts_per_round)
    return [by_update[number * updates] for number in range(1, config.num_rounds + 1)]


def _worth(module: Any, base: Any, snapshots: Snapshots, config: SelfRewarding) -> list[Figure]:
    """What answers are worth in the world: of M0, of the policy that began each round, and of the last."""
    if not isinstance(module, Taste):
        return []
    begun = [snapshots.at(number).utility() for number in range(config.num_rounds)]
    return [
        Figure(name=f"gold_{n}", value=value, about=f"mean hidden utility of an answer of M{n}")
        for n, value in enumerate((base.utility(), *begun, module.utility()))
    ]


def works(config: SelfRewarding) -> list[Work]:
    """Both stages as a planner of memory sees them; M0 and a snapshot come on top."""
    length, num = config.sampling.max_completion_length, config.sampling.num_generations
    drawing = Drawing(group=num, completion=length, prompts=config.prompts_per_round)
    return [
        stages.imitating(SFT, config, config.sft, length),
        stages.preferring(ROUNDS, config, config.dpo, length, drawing, reference=True),
    ]
