"""Where every run of a lab starts: one toy world, one cold start, one measurement of it.

All of it is made once in the lab's folder `start/` and only read afterwards.
"""

import hashlib
import json
import random
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from stablereward.config import dump, resolve
from stablereward.data.parsing import verdict
from stablereward.data.prompts import r1_reward as prompt_of
from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.errors import DataError
from stablereward.evaluation.evaluate import evaluate
from stablereward.evaluation.metrics import Summary, summarise
from stablereward.judges.generative import Generative, decoding
from stablereward.lab.arms import stable_reinforce
from stablereward.lab.regimes import Regime
from stablereward.policies.token import TokenPolicy
from stablereward.recipes.judges.r1_reward import Config, reward, tiny
from stablereward.recipes.sources import Data, Toy, load, toy_annotator
from stablereward.recipes.stages import (
    Difficulty,
    Hardware,
    arranged_by_difficulty,
    cold_start,
    demonstrations,
    load_policy,
    reinforce,
    stage,
)
from stablereward.runs.files import to_jsonl, write_atomic
from stablereward.runs.folder import RunFolder, read_jsonl
from stablereward.types import Failure, Preference, Row

EASY_TRIES = 8
EASY_AMONG = 600
"""So many preferences are tried for those that are easy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What all runs of a lab share. Without `annotate` the model judges already: no cold start is made."""

    recipe: Config
    annotate: bool = True


def full() -> Setup:
    """The demo's settings on the CPU, and half as many held-out pairs: there are many runs to measure."""
    world = Data(toy=Toy(num_held_out=240))
    return Setup(recipe=replace(tiny(), data=world, hardware=Hardware(device="cpu")))


def fast() -> Setup:
    """The shipped judge and a few pairs: seconds."""
    small = replace(
        tiny(),
        model="toy",
        data=Data(toy=Toy(num_train=32, num_held_out=12)),
        difficulty=Difficulty(num_tries=1, min_tries=1),
        hardware=Hardware(device="cpu"),
    )
    return Setup(recipe=small, annotate=False)


class Start:
    """The starting point in a lab's folder. Its methods make what is missing and read what is there."""

    def __init__(self, lab: Path) -> None:
        self.run = RunFolder(lab / "start")

    @cached_property
    def setup(self) -> Setup:
        """The settings that `prepare` kept."""
        return resolve(Setup, self.run.path / "config.yaml")

    @property
    def recipe(self) -> Config:
        return self.setup.recipe

    def prepare(self, setup: Setup, regimes: list[Regime]) -> None:
        """Makes all that runs under these regimes will read.

        Raises ConfigError where the folder was started with another setup.
        """
        resume = (self.run.path / "config.yaml").exists()
        with self.run.running(dump(setup), resume=resume), stage(self.run, "start"):
            self.preferences()
            for regime in regimes:
                self.prompts(regime)
                self.measured(regime)

    def preferences(self) -> tuple[list[Preference], list[Preference]]:
        """Those to train on and those held out."""
        found = load(self.recipe.data, self.run.path / "data", self.recipe.seed)
        return found.train, found.held_out

    def judge(self, regime: Regime) -> str | Path:
        """The model that a regime starts from."""
        if regime.head_start is None:
            return self._cold_start()
        trained = RunFolder(self.run.path / _tag(regime))
        if (made := trained.path / "judge").exists():
            return made
        trained.open(dump(regime.head_start), resume=(trained.path / "config.yaml").exists())
        return reinforce(
            trained,
            self._cold_start(),
            self._arranged(),
            reward(self.recipe, trained.path / "referee"),
            stable_reinforce(),
            regime.head_start,
            replace(self.recipe.hardware, save_every=regime.head_start.num_updates),
            seed=self.recipe.seed,
        )

    def prompts(self, regime: Regime) -> list[Preference]:
        """What a regime trains on, in one order; a run shuffles it by its seed.

        Raises DataError where too few preferences are easy for a batch.
        """
        if regime.prompts == "all":
            return self._arranged()
        train = self.preferences()[0][:EASY_AMONG]
        shares = self._shares_right(train, regime)
        easy = [preference for preference, share in zip(train, shares, strict=True) if share == 1.0]
        if len(easy) < regime.rl.prompts_per_batch:
            raise DataError(
                f"{self.run.path}: {len(easy)} of {len(train)} preferences are easy, fewer than a batch of "
                f"{regime.rl.prompts_per_batch}; give the regime {regime.name} a longer head start"
            )
        return easy

    def measured(self, regime: Regime) -> Summary:
        """The judge that a regime starts from, on the held-out pairs."""
        path = self.run.path / f"held-out-{_tag(regime)}.json"
        if not path.exists():
            policy = load_policy(self.judge(regime), self.recipe.hardware, None)
            found = summarise(self.judged(policy), judge="start")
            write_atomic(path, json.dumps(asdict(found)) + "\n")
        try:
            return TypeAdapter(Summary).validate_json(path.read_bytes())
        except ValidationError as error:
            raise _damaged(path, error.errors()[0]["msg"]) from None

    def judged(self, policy: TokenPolicy) -> list[Row]:
        """Greedy verdicts of a policy on the held-out pairs in both orders."""
        sampling = replace(decoding(1), max_completion_length=self.recipe.rl.max_completion_length)
        judge = Generative(engine=HFEngine(policy), sampling=sampling)
        return evaluate(judge, self.preferences()[1])

    def _cold_start(self) -> str | Path:
        made, recipe = self.run.path / "cold_start", self.recipe
        if not self.setup.annotate:
            return recipe.model
        if made.exists():
            return made
        assert recipe.data.toy is not None
        shown = demonstrations(self.run, self.preferences()[0], toy_annotator(recipe.data.toy, recipe.seed))
        return cold_start(
            self.run, recipe.model, shown, recipe.cold_start, recipe.hardware, recipe.lora, recipe.seed
        )

    def _arranged(self) -> list[Preference]:
        recipe = self.recipe
        return arranged_by_difficulty(
            self.run,
            self._cold_start(),
            self.preferences()[0],
            recipe.difficulty,
            recipe.rl,
            recipe.hardware,
            recipe.seed,
        )

    def _shares_right(self, train: list[Preference], regime: Regime) -> list[float]:
        """The share of right samples of each preference, kept in a file."""
        path = self.run.path / f"easy-{_tag(regime)}.jsonl"
        if not path.exists():
            engine = HFEngine(load_policy(self.judge(regime), self.recipe.hardware, None))
            sampling = Sampling(
                num_generations=EASY_TRIES,
                max_completion_length=self.recipe.rl.max_completion_length,
                seed=self.recipe.seed,
            )
            outputs = engine.sample([prompt_of(preference) for preference in train], sampling)
            rows = []
            for preference, output in zip(train, outputs, strict=True):
                texts = [] if isinstance(output, Failure) else [completion.text for completion in output]
                right = sum(_is_right(text, preference) for text in texts)
                rows.append({"id": preference.id, "right": right / EASY_TRIES})
            write_atomic(path, to_jsonl(rows))
        kept = [row for _, row in read_jsonl(path)]
        shares = [float(row["right"]) for row in kept if isinstance(row.get("right"), float)]
        if [row.get("id") for row in kept] != [one.id for one in train] or len(shares) != len(train):
            raise _damaged(path, "not the shares of this lab's preferences")
        return shares


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(f"{path}: damaged ({reason}); remove the file and give the same command again")


def _tag(regime: Regime) -> str:
    """A name for what a regime starts from, so that other settings find another start."""
    if regime.head_start is None:
        return "cold-start"
    return f"head-start-{hashlib.sha256(dump(regime.head_start).encode()).hexdigest()[:8]}"


def in_order_of(seed: int, preferences: list[Preference]) -> list[Preference]:
    """The preferences in the order of a seed."""
    return random.Random(seed).sample(preferences, len(preferences))


def _is_right(text: str, preference: Preference) -> bool:
    read = verdict(text, len(preference.responses))
    return not isinstance(read, Failure) and read.choice == preference.best
