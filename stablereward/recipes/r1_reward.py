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
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

from stablereward.config import dump
from stablereward.data.toy.analyses import looks
from stablereward.engines.cache import Cached
from stablereward.engines.chat import extra_fields
from stablereward.engines.engine import Engine
from stablereward.engines.http import OpenAIServer
from stablereward.errors import ConfigError
from stablereward.judges.controls import always_first, longer_wins
from stablereward.objectives.advantages import released_filter, sigma_filter, winsorise
from stablereward.objectives.named import stable_reinforce
from stablereward.objectives.objective import Objective
from stablereward.objectives.ratios import pre_clipped_ratio, token_ratio
from stablereward.recipes.measuring import Judges, Subject, measure
from stablereward.recipes.possible import require_counts, require_positive, require_shares
from stablereward.recipes.sources import Data, Toy, load, toy_annotator
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
from stablereward.training.machine import keep_machine
from stablereward.training.optim import OptimConfig
from stablereward.training.planning import Drawing, Update, Work
from stablereward.training.progress import say
from stablereward.training.protection import Protection
from stablereward.training.rl import RLConfig, require_trainable
from stablereward.training.run_folder import RunFolder
from stablereward.training.sft import SFTConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An OpenAI-compatible server. The key is read from the environment variable `api_key_env`.

    `extra` are fields of each request, written as "top_k=20".
    """

    base_url: str
    model: str
    api_key_env: str = ""
    extra: tuple[str, ...] = ()
    max_concurrency: int = 8
    timeout: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stable:
    """StableReinforce's constants: the paper's, and its code's `epsilon`. `beta` pulls to the start.

    `preclip` and `filter` take its parts off one by one; "released" is the rule of the paper's code, for
    study. `dual_clip`, such as 3, bounds the loss of a bad token; the paper has none.
    """

    preclip: bool = True
    delta_min: float = 1e-3
    delta_max: float = 1e3
    filter: Literal["paper", "released", "winsorise", "none"] = "paper"
    sigmas: float = 3.0
    epsilon: float = 0.2
    dual_clip: float | None = None
    beta: float = 0.0


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
    votes: tuple[int, ...] = (1, 5, 15)
    hardware: Hardware = field(default_factory=Hardware)
    protection: Protection = field(default_factory=Protection)
    seed: int = 0


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
    _require_possible(config)
    require_whole_batches(config.hardware, config.rl)
    require_trainable(objective(config.stable), config.rl)
    folder = RunFolder(config.output)
    folder.open(dump(config), resume=resume)
    keep_machine(folder.path, "r1_reward")
    with stage(folder, "data"):
        preferences = load(config.data, folder.path / "data", config.seed)
        say(f"  {len(preferences.train)} preferences to train on, {len(preferences.held_out)} held out")
    start: str | Path = config.model
    annotator = _annotator(config, folder)
    if annotator is not None:
        with stage(folder, "annotation"):
            shown = demonstrations(folder, preferences.train, annotator)
        with stage(folder, "cold_start"):
            start = cold_start(
                folder, config.model, shown, config.cold_start, config.hardware, config.lora, config.seed
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
            reward(config, folder.path / "referee"),
            objective(config.stable),
            config.rl,
            config.hardware,
            lora=config.lora,
            seed=config.seed,
            protection=config.protection,
            monitors={"toy/looks": lambda completion: float(looks(completion.text))}
            if config.data.toy
            else {},
        )
    with stage(folder, "measurement"):
        measure(folder, _subjects(config, start, judge), preferences.held_out)
    report = write_report(folder.path, tell=say)
    say(f"report: {report}")
    return folder.path


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


def _require_possible(config: Config) -> None:
    """Raises ConfigError for settings that would fail only after hours, or train nothing."""
    rl, sft = config.rl, config.cold_start
    require_counts(
        {
            "votes": min(config.votes, default=0),
            "cold_start.batch_size": sft.batch_size,
            "difficulty.num_tries": config.difficulty.num_tries,
            "rl.num_updates": rl.num_updates,
            "rl.prompts_per_batch": rl.prompts_per_batch,
            "rl.num_generations": rl.num_generations,
            "rl.updates_per_batch": rl.updates_per_batch,
            "rl.num_iterations": rl.num_iterations,
            "rl.max_completion_length": rl.max_completion_length,
            "hardware.save_every": config.hardware.save_every,
        }
    )
    require_shares(
        {
            "difficulty.easy_share": config.difficulty.easy_share,
            "rl.max_failure_rate": rl.max_failure_rate,
            "rl.optim.warmup": rl.optim.warmup,
            "rl.optim.final": rl.optim.final,
            "cold_start.optim.warmup": sft.optim.warmup,
            "cold_start.optim.final": sft.optim.final,
        }
    )
    require_positive(
        {
            "cold_start.epochs": sft.epochs,
            "cold_start.optim.learning_rate": sft.optim.learning_rate,
            "cold_start.optim.max_grad_norm": sft.optim.max_grad_norm,
            "rl.optim.learning_rate": rl.optim.learning_rate,
            "rl.optim.max_grad_norm": rl.optim.max_grad_norm,
            "rl.temperature": rl.temperature,
            "stable.sigmas": config.stable.sigmas,
            "stable.epsilon": config.stable.epsilon,
        }
    )


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
