"""The stages of training a generative judge, each kept in the run folder and skipped where it is done."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from stablereward.blocking import blocking
from stablereward.config import NoResult
from stablereward.data.annotate import NEVER_RIGHT, Annotation, annotate
from stablereward.data.difficulty import curriculum, easy_first, mixed, tries_needed
from stablereward.data.prompts import r1_reward
from stablereward.engines.engine import Engine, Sampling
from stablereward.engines.hf import HFEngine
from stablereward.errors import ConfigError, DataError, EngineError
from stablereward.objectives.objective import Objective
from stablereward.policies.adapters import add_lora
from stablereward.policies.checkpointing import checkpoint_layers
from stablereward.policies.completions import Demonstrations, completions
from stablereward.policies.parts import part_of
from stablereward.policies.token import TokenPolicy
from stablereward.policies.value_head import add_value_head
from stablereward.ranges import Count, Proportion, Range, Size, require_ranges
from stablereward.recipes.completions import completion_collector
from stablereward.recipes.context import fitting
from stablereward.recipes.rows import Kind
from stablereward.rewards.reward import RewardFunction
from stablereward.runs.files import to_jsonl, write_atomic
from stablereward.runs.folder import RunFolder, read_jsonl
from stablereward.runs.progress import bar, say
from stablereward.training.checkpoint import write_folder
from stablereward.training.collect import Collector, Monitor
from stablereward.training.imitation import SFTConfig, imitation_batches, imitation_loss
from stablereward.training.learner import Learner, train
from stablereward.training.policy_gradient import RLConfig, require_trainable
from stablereward.training.protection import Protection
from stablereward.training.reinforce import reinforcement
from stablereward.types import Failure, Preference, Prompt

MAX_ANNOTATOR_FAILURES = 0.2
_DEVICE = re.compile(r"cpu|mps|cuda(:[0-9]+)?")

Found = TypeVar("Found", str, int)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """Where the model runs. Without `device` a GPU is used where there is one.

    Weights are float32 and, on a GPU, computed with in bfloat16: small updates are lost in bfloat16
    weights.
    """

    device: Annotated[str | None, NoResult] = None
    gradient_checkpointing: bool = False
    save_every: Count = 20

    def __post_init__(self) -> None:
        require_ranges(self)
        if self.device is not None and not _DEVICE.fullmatch(self.device):
            raise ConfigError(f"device is {self.device[:80]!r}; it must be cpu, mps, cuda or cuda:NUMBER")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """Low-rank adapters in place of full fine-tuning."""

    rank: Annotated[int, Range(1, 1024)] = 16
    alpha: Count = 32

    def __post_init__(self) -> None:
        require_ranges(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difficulty:
    """`num_tries` samples a preference; see `data.difficulty.curriculum` for what is kept.

    The paper keeps what needed two tries or more: `min_tries` 2 and no easy ones.
    """

    num_tries: Size = 3
    min_tries: Count = 2
    easy_share: Proportion = 0.0
    mixed: bool = False

    def __post_init__(self) -> None:
        require_ranges(self)
        if self.min_tries > self.num_tries + 1:
            raise ConfigError(
                f"min_tries is {self.min_tries}; with {self.num_tries} tries none needs more than "
                f"{self.num_tries + 1}, which is never right"
            )


def require_whole_batches(hardware: Hardware, rl: RLConfig) -> None:
    """Raises ConfigError where a checkpoint would fall between the updates of one batch of rollouts."""
    if hardware.save_every % rl.updates_per_collection:
        raise ConfigError(
            f"hardware.save_every is {hardware.save_every}; it must be a multiple of rl.updates_per_batch × "
            f"rl.num_iterations = {rl.updates_per_collection}"
        )


@contextmanager
def stage(run: RunFolder, name: str) -> Iterator[None]:
    """Says that a stage begins, and how long it took."""
    say(f"{name} …")
    clock = time.perf_counter()
    yield
    seconds = time.perf_counter() - clock
    run.stage_ended(name, seconds)
    say(f"{name}: {seconds:.0f} s")


def load_policy(path: str | Path, hardware: Hardware, lora: Lora | None) -> TokenPolicy:
    """The model to train. Raises ModelError."""
    policy = TokenPolicy.load(path, device=hardware.device)
    if notes := policy.notes():
        say(f"  {path}: {'; '.join(notes)}")
    if hardware.gradient_checkpointing:
        checkpoint_layers(policy.model)
    if lora is not None:
        add_lora(policy, rank=lora.rank, alpha=lora.alpha)
    return policy


def warn_untaught(model: str, annotator: Engine | None) -> None:
    """Says that the base of the toy world, which is no judge, stays one without an annotator."""
    if model == "toy-base" and annotator is None:
        say(
            "warning: toy-base is no judge, and without an annotator nothing makes it one, so nothing will "
            "be learnt; set annotator.base_url and annotator.model, or start from --set model=toy"
        )


def demonstrations(
    run: RunFolder, train_on: Sequence[Preference], annotator: Engine
) -> list[tuple[Prompt, str]]:
    """The annotator's right analyses of the training preferences, asked once and kept in a file."""
    path = run.path / "demonstrations.jsonl"
    prompts = [r1_reward(preference) for preference in train_on]
    if not path.exists():
        outcomes = blocking(annotate(prompts, annotator))
        _refuse_dead_annotator(outcomes)
        found = [
            {"number": n, "failure": outcome.reason}
            if isinstance(outcome, Failure)
            else {"number": n, "tries": outcome.tries, "text": outcome.text}
            for n, outcome in enumerate(outcomes)
        ]
        write_atomic(path, to_jsonl(found))
    texts = _kept(path, "text", str, len(prompts), optional=True)
    kept = [(prompt, text) for prompt, text in zip(prompts, texts, strict=True) if text is not None]
    say(f"  {len(kept)} of {len(prompts)} analyses are right and kept")
    if not kept:
        raise DataError(f"{path}: the annotator gave no right analysis; look at the failures in it")
    return kept


def _refuse_dead_annotator(outcomes: Sequence[Annotation | Failure]) -> None:
    """Nothing is kept of an annotation most of which could not be asked; answers paid for are cached."""
    failed = [o for o in outcomes if isinstance(o, Failure) and o.reason != NEVER_RIGHT]
    if len(failed) > MAX_ANNOTATOR_FAILURES * len(outcomes):
        raise EngineError(
            f"the annotator failed for {len(failed)} of {len(outcomes)} preferences "
            f"({failed[0].reason}: {failed[0].detail}); mend it and resume"
        )


def cold_start(
    run: RunFolder,
    model: str | Path,
    shown: Sequence[tuple[Prompt, str]],
    config: SFTConfig,
    hardware: Hardware,
    lora: Lora | None,
    seed: int,
    *,
    skip: Sequence[Kind] = (),
) -> Path:
    """Fine-tunes the model on the demonstrations; returns the folder of the result.

    Raises DataError for a demonstration that does not fit the model's context, unless `skip` has "too_long".
    """
    target = run.path / "cold_start"
    if target.exists():
        return target
    policy = load_policy(model, hardware, lora)
    learnt, family = Demonstrations(policy, fitting(policy, shown, skip)), completions(policy)
    learner = Learner(
        name="policy",
        module=policy,
        batches=lambda start: imitation_batches(learnt, family.costs, config, seed, start),
        loss=lambda share: imitation_loss(family.score, share),
        num_updates=config.num_updates(len(learnt)),
        optim=config.optim,
        part_of=part_of,
        cost=lambda share: share.cost,
    )
    with bar("cold start", learner.num_updates) as progress:
        train(
            run,
            "cold_start",
            learner,
            save_every=hardware.save_every,
            progress=lambda update: progress(update.number, f"loss {update.metrics['loss']:.3f}"),
        )
    write_folder(target, policy.save)
    return target


def arranged_by_difficulty(
    run: RunFolder,
    model: str | Path,
    train_on: Sequence[Preference],
    config: Difficulty,
    rl: RLConfig,
    hardware: Hardware,
    seed: int,
) -> list[Preference]:
    """The preferences to train on, from easy to hard, by how many tries the model needs; kept in a file."""
    path = run.path / "difficulty.jsonl"
    if not path.exists():
        engine = HFEngine(load_policy(model, hardware, None))
        sampling = Sampling(
            num_generations=config.num_tries, max_completion_length=rl.max_completion_length, seed=seed
        )
        outputs = engine.sample([r1_reward(preference) for preference in train_on], sampling)
        tries = []
        for preference, output in zip(train_on, outputs, strict=True):
            if isinstance(output, Failure):
                raise DataError(f"{preference.name} cannot be shown to the model: {output.detail}")
            tries.append(tries_needed(output, preference.best or 0, len(preference.responses)))
        write_atomic(path, to_jsonl([{"number": n, "tries": needed} for n, needed in enumerate(tries)]))
    tries = [needed or 1 for needed in _kept(path, "tries", int, len(train_on))]
    counts = {needed: tries.count(needed) for needed in sorted(set(tries))}
    say("  " + ", ".join(f"{count} at try {needed}" for needed, count in counts.items()))
    arrange = mixed if config.mixed else easy_first
    order = arrange(curriculum(tries, config.min_tries, config.easy_share, seed), tries, seed)
    if not order:
        raise DataError("no preference is hard enough to train on; lower difficulty.min_tries")
    return [train_on[n] for n in order]


def reinforce(
    run: RunFolder,
    model: str | Path,
    train_on: Sequence[Preference],
    reward: RewardFunction,
    objective: Objective,
    config: RLConfig,
    hardware: Hardware,
    *,
    lora: Lora | None = None,
    seed: int = 0,
    keep_every: int = 10,
    monitors: Mapping[str, Monitor] | None = None,
    protection: Protection | None = None,
) -> Path:
    """Trains the model by reinforcement; returns the folder of the judge.

    Rollouts of every `keep_every`-th update are kept. A sample that makes an update not finite is left out of
    it and named; without `protection` nothing else stops a collapsed run. Raises as `require_trainable` does.
    """
    require_trainable(objective, config)
    target = run.path / "judge"
    if target.exists():
        return target
    policy = load_policy(model, hardware, lora)
    if objective.critic:
        add_value_head(policy, seed)
    collected = completion_collector(policy, HFEngine(policy), reward, objective, config, monitors=monitors)
    learner = reinforcement(
        run,
        "rl",
        policy,
        collected,
        [r1_reward(preference) for preference in train_on],
        seed,
        keep_every=keep_every,
        critic=policy.value_head,
        part_of=part_of,
    )
    with bar("StableReinforce", config.num_updates) as progress:
        train(
            run,
            "rl",
            learner,
            save_every=hardware.save_every,
            progress=lambda update: progress(update.number, _state(collected)),
            protection=protection,
        )
    write_folder(target, policy.save)
    return target


def _state(collector: Collector) -> str:
    metrics = collector.last.metrics if collector.last is not None else {}
    return f"reward {metrics.get('reward/mean', 0.0):.2f}  right {metrics.get('reward/result', 0.0):.2f}"


def _kept(
    path: Path, name: str, kind: type[Found], num: int, *, optional: bool = False
) -> list[Found | None]:
    """What the rows of a stage's file say in one field, a row for each of `num` preferences in their order.

    Raises DataError for a file that is damaged or of other preferences.
    """
    again = f"remove {path.name} and resume: it is made again"
    found: list[Found | None] = []
    for where, row in read_jsonl(path, again):
        value = row.get(name)
        right = type(value) is kind or (value is None and optional)
        if row.get("number") != len(found) or not right:
            raise DataError(f"{where}: not the row of preference {len(found)} with {name!r}; {again}")
        found.append(value)
    if len(found) != num:
        raise DataError(f"{path}: {len(found)} rows for {num} preferences; {again}")
    return found
