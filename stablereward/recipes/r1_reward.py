"""R1-Reward (https://arxiv.org/abs/2505.02835): a judge that thinks, trained by StableReinforce.

    preferences → two-answer prompt → cold start on annotated analyses → difficulty by sampling
    → G samples a prompt → result · (1 + 0.5 · consistency) + 0.5 · format
    → whitened returns, 3-sigma filter → pre-clipped surrogate → update → both-order measurement

Deviations from the paper: G samples share one prompt (its code draws one); the image reaches the
policy's gradient (in its code it does not); the filter is the paper's (its code's bounds are wrong); a
failed referee leaves the sample out (its code pays 1.0).

Status: toy-verified with `tiny()` (docs/log.md); the 7B settings are the paper's and untested.
"""

import math
import os
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Literal

from stablereward.config import NoResult, dump, without_result
from stablereward.data.toy.analyses import looks
from stablereward.engines.cache import Cached
from stablereward.engines.chat import extra_fields
from stablereward.engines.engine import Engine
from stablereward.engines.http import OpenAIServer, is_web_address
from stablereward.errors import ConfigError
from stablereward.judges.controls import always_first, longer_wins
from stablereward.objectives.advantages import released_filter, sigma_filter, winsorise
from stablereward.objectives.named import stable_reinforce
from stablereward.objectives.objective import Objective
from stablereward.objectives.ratios import pre_clipped_ratio, token_ratio
from stablereward.policies.token import device_named
from stablereward.ranges import LARGE, Count, NotNegative, Number, Positive, Range, Size, require_ranges
from stablereward.recipes.context import Context
from stablereward.recipes.measuring import Judges, Subject, measure
from stablereward.recipes.sources import Data, Preferences, Toy, load, toy_annotator
from stablereward.recipes.stages import (
    Difficulty,
    Hardware,
    Lora,
    arranged_by_difficulty,
    cold_start,
    demonstrations,
    reinforce,
    require_whole_batches,
    stage,
)
from stablereward.report.report import write_report
from stablereward.rewards.accuracy import accuracy_reward
from stablereward.rewards.compose import r1_reward
from stablereward.rewards.consistency import consistency_reward
from stablereward.rewards.format import format_reward
from stablereward.rewards.reward import RewardFunction
from stablereward.rewards.rule_referee import rule_referee
from stablereward.runs.files import to_jsonl, write_atomic
from stablereward.runs.folder import RunFolder
from stablereward.runs.machine import keep_machine
from stablereward.runs.progress import say
from stablereward.training.imitation import SFTConfig
from stablereward.training.optim import OptimConfig
from stablereward.training.planning import Drawing, Update, Work
from stablereward.training.policy_gradient import RLConfig, require_trainable
from stablereward.training.protection import Protection


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An OpenAI-compatible server. The key is read from the environment variable `api_key_env`.

    `extra` are fields of each request, written as "top_k=20".
    """

    base_url: Annotated[str, NoResult]
    model: str
    api_key_env: Annotated[str, NoResult] = ""
    extra: tuple[str, ...] = ()
    max_concurrency: Annotated[Count, NoResult] = 8
    timeout: Annotated[Positive, NoResult] = 60.0

    def __post_init__(self) -> None:
        require_ranges(self)
        if not is_web_address(self.base_url):
            raise ConfigError(f"base_url is {self.base_url!r}; it must be like http://localhost:8000/v1")
        try:
            extra_fields(self.extra)
        except ConfigError as error:
            raise ConfigError(f"extra: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stable:
    """StableReinforce's constants: the paper's, and its code's `epsilon`. `beta` pulls to the start.

    `preclip` and `filter` take its parts off one by one; "released" is the rule of the paper's code, for
    study. `dual_clip`, such as 3, bounds the loss of a bad token; the paper has none.
    """

    preclip: bool = True
    delta_min: Annotated[float, Range(0, 1, above=True)] = 1e-3
    delta_max: Annotated[float, Range(1, LARGE)] = 1e3
    filter: Literal["paper", "released", "winsorise", "none"] = "paper"
    sigmas: Positive = 3.0
    epsilon: Positive = 0.2
    dual_clip: Annotated[float, Range(1, LARGE, above=True)] | None = None
    beta: NotNegative = 0.0

    def __post_init__(self) -> None:
        require_ranges(self)
        if self.dual_clip is not None and self.dual_clip <= 1 + self.epsilon:
            raise ConfigError(
                f"dual_clip is {self.dual_clip}; it must be above 1 + epsilon = {1 + self.epsilon}"
            )


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
        require_whole_batches(self.hardware, self.rl)
        require_trainable(objective(self.stable), self.rl)


def tiny() -> Config:
    """The whole method on the toy world, from `toy-base`: minutes on two CPU cores."""
    return Config(
        model="toy-base",
        data=Data(toy=Toy()),
        output=Path("runs/demo"),
        cold_start=SFTConfig(
            epochs=4.0,
            batch_size=32,
            token_budget=4096,
            optim=OptimConfig(learning_rate=1e-3, warmup=0.05, final=0.05),
        ),
        difficulty=Difficulty(num_tries=3, min_tries=2, easy_share=0.5, mixed=True),
        rl=RLConfig(
            num_updates=200,
            prompts_per_batch=24,
            num_generations=8,
            updates_per_batch=1,
            max_completion_length=96,
            token_budget=4096,
            optim=OptimConfig(learning_rate=2e-4, warmup=0.05),
        ),
    )


def run(config: Config, *, resume: bool = False) -> Path:
    """Runs every stage that is not done yet; returns the run folder.

    The folder gets the judge (`judge/`), `results.json` and `report.html`. Raises any
    StableRewardError; what was computed stays, and `resume` goes on from there.
    """
    folder = RunFolder(config.output)
    with folder.running(dump(config), resume=resume, changeable=without_result(Config)):
        keep_machine(folder.path, "r1_reward")
        _stages(config, folder)
        say(f"report: {write_report(folder.path, tell=say)}")
    return folder.path


def _stages(config: Config, folder: RunFolder) -> None:
    device_named(config.hardware.device)
    annotator, scored = _annotator(config, folder), reward(config, folder.path / "referee")
    if config.model == "toy-base" and annotator is None:
        say(
            "warning: toy-base is no judge, and without an annotator nothing makes it one, so nothing will "
            "be learnt; set annotator.base_url and annotator.model, or start from --set model=toy"
        )
    with stage(folder, "data"):
        preferences = _preferences(config, folder)
    start: str | Path = config.model
    if annotator is not None:
        with stage(folder, "annotation"):
            shown = demonstrations(folder, preferences.train, annotator)
        with stage(folder, "cold_start"):
            start = cold_start(
                folder,
                config.model,
                shown,
                config.cold_start,
                config.hardware,
                config.lora,
                config.seed,
                skip=config.data.skip,
            )
    with stage(folder, "difficulty"):
        arranged = arranged_by_difficulty(
            folder, start, preferences.train, config.difficulty, config.rl, config.hardware, config.seed
        )
    with stage(folder, "rl"):
        judge = reinforce(
            folder,
            start,
            arranged,
            scored,
            objective(config.stable),
            config.rl,
            config.hardware,
            lora=config.lora,
            seed=config.seed,
            protection=config.protection,
            monitors={"toy/looks": lambda sample: float(looks(sample.completion.text))}
            if config.data.toy
            else {},
        )
    with stage(folder, "measurement"):
        measure(folder, _subjects(config, start, judge), preferences.held_out)


def _preferences(config: Config, folder: RunFolder) -> Preferences:
    """What is trained and measured on, all of which fits the model's context; says what was left out."""
    context = cache(lambda: Context.of(config.model, config.rl.max_completion_length))
    look = lambda read: context().faults(read)  # noqa: E731
    found = load(config.data, folder.path / "data", config.seed, look)
    if found.left_out:
        write_atomic(folder.path / "left_out.jsonl", to_jsonl([asdict(fault) for fault in found.left_out]))
    say(f"  {len(found.train)} preferences to train on, {len(found.held_out)} held out")
    return found


def works(config: Config) -> list[Work]:
    """The stages as a planner of memory sees them. Demonstrations are taken to be as long as completions."""
    rl, sft = config.rl, config.cold_start
    length = rl.max_completion_length
    train = partial(
        Work,
        rank=None if config.lora is None else config.lora.rank,
        checkpointing=config.hardware.gradient_checkpointing,
    )
    cold = train(
        name="cold_start",
        update=Update(prompts=sft.batch_size, group=1, completion=length, token_budget=sft.token_budget),
    )
    stages = [
        Work(name="difficulty", drawing=Drawing(group=config.difficulty.num_tries, completion=length)),
        train(
            name="rl",
            update=Update(
                prompts=-(-rl.prompts_per_batch // rl.updates_per_batch),
                group=rl.num_generations,
                completion=length,
                token_budget=rl.token_budget,
            ),
            drawing=Drawing(group=rl.num_generations, completion=length, prompts=rl.prompts_per_batch),
            reference=config.stable.beta > 0,
        ),
        Work(name="measurement", drawing=Drawing(group=1, completion=length)),
    ]
    return [cold, *stages] if config.annotator or config.data.toy else stages


def objective(stable: Stable) -> Objective:
    """StableReinforce with the parts and constants that are asked for."""
    filters = {
        "paper": sigma_filter(stable.sigmas),
        "released": released_filter(stable.sigmas),
        "winsorise": winsorise(stable.sigmas),
        "none": None,
    }
    return stable_reinforce(
        ratio=pre_clipped_ratio(stable.delta_min, stable.delta_max) if stable.preclip else token_ratio,
        keep=filters[stable.filter],
        epsilon=stable.epsilon,
        dual_clip=math.inf if stable.dual_clip is None else stable.dual_clip,
        beta=stable.beta,
    )


def reward(config: Config, cache: Path) -> RewardFunction:
    """result · (1 + 0.5 · consistency) + 0.5 · format, with the referee the config names."""
    referee: Engine = rule_referee()
    if config.referee is not None:
        referee = Cached(_server(config.referee), identity=_identity(config.referee), folder=cache)
    return r1_reward(format_reward, accuracy_reward, consistency_reward(referee))


def _annotator(config: Config, folder: RunFolder) -> Engine | None:
    if config.annotator is not None:
        return Cached(
            _server(config.annotator), identity=_identity(config.annotator), folder=folder.path / "annotator"
        )
    return None if config.data.toy is None else toy_annotator(config.data.toy, config.seed)


def _identity(server: Server) -> str:
    """What the answers depend on beside the question and the sampling."""
    return " ".join((server.model, *server.extra))


def _server(server: Server) -> OpenAIServer:
    key = os.environ.get(server.api_key_env) if server.api_key_env else None
    if server.api_key_env and key is None:
        raise ConfigError(
            f"the environment variable {server.api_key_env} is not set; it should hold the server's key"
        )
    return OpenAIServer(
        base_url=server.base_url,
        model=server.model,
        api_key=key,
        max_concurrency=server.max_concurrency,
        timeout=server.timeout,
        extra=extra_fields(server.extra),
    )


def _subjects(config: Config, start: str | Path, judge: Path) -> list[Subject]:
    judges = Judges(config.hardware, config.rl.max_completion_length)
    cold, trained = judges.of(start), judges.of(judge)
    return [
        Subject(
            name="cold start" if config.annotator or config.data.toy else "start", role="start", judge=cold
        ),
        Subject(name="trained", role="trained", judge=trained, votes=config.votes),
        Subject(name="trained, images shuffled", role="control", judge=trained, shuffle_images=True),
        Subject(name="always first", role="control", judge=lambda votes: always_first),
        Subject(name="longer wins", role="control", judge=lambda votes: longer_wins),
    ]
