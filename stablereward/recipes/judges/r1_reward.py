"""R1-Reward (https://arxiv.org/abs/2505.02835): a judge that thinks, trained by StableReinforce.

    preferences → two-answer prompt → cold start on annotated analyses → difficulty by sampling
    → G samples a prompt → result · (1 + 0.5 · consistency) + 0.5 · format
    → whitened returns, 3-sigma filter → pre-clipped surrogate → update → both-order measurement

Deviations from the paper: G samples share one prompt (its code draws one); the image reaches the
policy's gradient (in its code it does not); the filter is the paper's (its code's bounds are wrong); a
failed referee leaves the sample out (its code pays 1.0).

Status: toy-verified with `tiny()` (docs/log.md); the 7B settings are the paper's and untested.
"""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from stablereward.config import dump, without_result
from stablereward.errors import ConfigError
from stablereward.policies.token import device_named
from stablereward.ranges import Number, Size, require_ranges
from stablereward.recipes import stages
from stablereward.recipes.context import Context
from stablereward.recipes.measuring import before_and_after, measure
from stablereward.recipes.servers import Server, annotator_of, answers_of
from stablereward.recipes.sources import Data, Toy, taken, watched
from stablereward.recipes.stable import Stable, objective
from stablereward.recipes.stages import Difficulty, Hardware, Lora, stage
from stablereward.recipes.works import imitating, reinforcing, writing
from stablereward.report.report import write_report
from stablereward.rewards.judged_by import judged_by
from stablereward.rewards.reward import RewardFunction
from stablereward.rewards.rule_referee import rule_referee
from stablereward.runs.folder import RunFolder
from stablereward.runs.machine import keep_machine
from stablereward.runs.progress import say
from stablereward.training.imitation import SFTConfig
from stablereward.training.optim import OptimConfig
from stablereward.training.planning import Work
from stablereward.training.policy_gradient import RLConfig, require_trainable
from stablereward.training.protection import Protection


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The paper's settings. Without an `annotator` there is no cold start: the model must already judge.

    Without a `referee` the rule of `rewards.rule_referee` reads the analyses, which understands plain
    sentences only.
    """

    model: str = "Qwen/Qwen2.5-VL-7B-Instruct"
    data: Data = field(default_factory=Data)
    output: Path = Path("runs/r1_reward")
    annotator: Server | None = None
    referee: Server | None = None
    cold_start: SFTConfig = field(default_factory=SFTConfig)
    difficulty: Difficulty = field(default_factory=Difficulty)
    rl: RLConfig = field(default_factory=RLConfig)
    stable: Stable = field(default_factory=Stable)
    lora: Lora | None = None
    votes: tuple[Size, ...] = (1, 5, 15)
    hardware: Hardware = field(default_factory=Hardware)
    protection: Protection = field(default_factory=Protection)
    seed: Number = 0

    def __post_init__(self) -> None:
        require_ranges(self)
        if not self.votes:
            raise ConfigError("votes must have at least one number, such as [1]")
        if not self.model.strip():
            raise ConfigError("model must be a folder or a name, not empty")
        stages.require_whole_batches(self.hardware, self.rl)
        require_trainable(objective(self.stable), self.rl)


def run(config: Config, *, resume: bool = False) -> Path:
    """Runs every stage that is not done yet; returns the run folder, with the judge in `judge/`."""
    folder = RunFolder(config.output)
    with folder.running(dump(config), resume=resume, changeable=without_result(Config)):
        keep_machine(folder.path, "r1_reward")
        _stages(config, folder)
        say(f"report: {write_report(folder.path, tell=say)}")
    return folder.path


def _stages(config: Config, folder: RunFolder) -> None:
    device_named(config.hardware.device)
    hardware, lora, seed = config.hardware, config.lora, config.seed
    annotator = annotator_of(config.annotator, config.data, folder.path, seed)
    scored = reward(config, folder.path / "referee")
    stages.warn_untaught(config.model, annotator)
    with stage(folder, "data"):
        context = cache(lambda: Context.of(config.model, config.rl.max_completion_length))
        found = taken(config.data, folder.path, seed, lambda read: context().faults(read))
    start: str | Path = config.model
    if annotator is not None:
        with stage(folder, "annotation"):
            shown = stages.demonstrations(folder, found.train, annotator)
        with stage(folder, "cold_start"):
            start = stages.cold_start(
                folder, config.model, shown, config.cold_start, hardware, lora, seed, skip=config.data.skip
            )
    with stage(folder, "difficulty"):
        arranged = stages.arranged_by_difficulty(
            folder, start, found.train, config.difficulty, config.rl, hardware, seed
        )
    with stage(folder, "rl"):
        judge = stages.reinforce(
            folder, start, arranged, scored, objective(config.stable), config.rl, hardware,
            lora=lora, seed=seed, monitors=watched(config.data), protection=config.protection,
        )  # fmt: skip
    with stage(folder, "measurement"):
        name, length = "cold start" if _shown(config) else "start", config.rl.max_completion_length
        subjects = before_and_after(hardware, length, start, judge, votes=config.votes, start_name=name)
        measure(folder, subjects, found.held_out)


def reward(config: Config, cache: Path) -> RewardFunction:
    """result · (1 + 0.5 · consistency) + 0.5 · format, with the referee the config names."""
    return judged_by(rule_referee() if config.referee is None else answers_of(config.referee, cache))


def _shown(config: Config) -> bool:
    """Whether there is a cold start."""
    return bool(config.annotator or config.data.toy)


def works(config: Config) -> list[Work]:
    """The stages as a planner of memory sees them. Demonstrations are taken to be as long as completions."""
    length = config.rl.max_completion_length
    cold = [imitating("cold_start", config, config.cold_start, length)] if _shown(config) else []
    tries = writing("difficulty", length, config.difficulty.num_tries)
    rl = reinforcing("rl", config, config.rl, reference=config.stable.beta > 0)
    return [*cold, tries, rl, writing("measurement", length, 1)]


def tiny() -> Config:
    """The whole method on the toy world, from `toy-base`: minutes on two CPU cores."""
    return Config(
        model="toy-base",
        data=Data(toy=Toy()),
        output=Path("runs/demo"),
        cold_start=SFTConfig(epochs=4.0, batch_size=32, token_budget=4096, optim=OptimConfig(
            learning_rate=1e-3, warmup=0.05, final=0.05)),
        difficulty=Difficulty(num_tries=3, min_tries=2, easy_share=0.5, mixed=True),
        rl=RLConfig(num_updates=200, prompts_per_batch=24, num_generations=8, updates_per_batch=1,
                    max_completion_length=96, token_budget=4096,
                    optim=OptimConfig(learning_rate=2e-4, warmup=0.05)),
    )  # fmt: skip
