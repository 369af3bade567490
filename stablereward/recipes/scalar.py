"""The stages of a scalar reward model: trained on comparisons, measured on held-out ones."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from torch import Tensor

from stablereward.data.prompts import transcript
from stablereward.data.responses import in_words
from stablereward.errors import DataError, TooLongError
from stablereward.judges.controls import longer_wins
from stablereward.judges.scalar import Scalar
from stablereward.policies.adapters import add_lora
from stablereward.policies.checkpointing import checkpoint_layers
from stablereward.policies.parts import part_of
from stablereward.policies.policy import Savable
from stablereward.policies.scalar import ScalarModel, dialogue, encoded_dialogue, load_scorer
from stablereward.policies.scalar_head import HeadConfig
from stablereward.policies.shipped import model_folder
from stablereward.policies.token import TokenPolicy
from stablereward.recipes.measuring import Subject, measure
from stablereward.recipes.rows import Fault, Kind
from stablereward.recipes.sources import Data, Preferences, taken
from stablereward.recipes.stages import Hardware, Lora
from stablereward.runs.figures import Figure
from stablereward.runs.folder import RunFolder
from stablereward.runs.progress import bar
from stablereward.training.checkpoint import write_folder
from stablereward.training.learner import Learner, train
from stablereward.training.outline import read_config
from stablereward.training.pairwise import (
    AnyGroup,
    Comparison,
    Measure,
    RewardConfig,
    pair_batches,
    pair_loss,
    plain,
)
from stablereward.training.planning import without_weights
from stablereward.types import Preference

STAGE = "reward"
SHOWN = 24
"""Held-out questions that the report shows with the scores of their responses."""


class Scores(Savable, Protocol):
    """A model of scores as training takes it; `policies.scalar.ScalarModel` is one."""

    def encoded(self, groups: Sequence[Any]) -> Sequence[AnyGroup]: ...

    def costs(self, groups: Sequence[Any]) -> list[int]: ...

    def measure(self, groups: Sequence[Any]) -> Tensor: ...


Model = TypeVar("Model", bound=Savable)


def preferences(run: RunFolder, model: str | Path, data: Data, seed: int) -> Preferences:
    """What is trained and measured on, all of which the model can read; says what was left out."""
    policy = cache(lambda: without_weights(*read_config(model_folder(model))))
    return taken(data, run.path, seed, lambda read: faults(policy(), read))


def faults(policy: TokenPolicy, read: Sequence[Preference]) -> list[Fault]:
    """The preferences with an image that the model refuses, or with a response beyond its context."""
    found = []
    with bar("lengths", len(read)) as progress:
        for number, preference in enumerate(read, 1):
            try:
                encoded_dialogue(policy, dialogue(preference))
            except DataError as error:
                kind: Kind = "too_long" if isinstance(error, TooLongError) else "unreadable"
                found.append(Fault(kind, preference.name, str(error)))
            progress(number, "")
    return found


def started(
    model: str | Path, head: HeadConfig, hardware: Hardware, lora: Lora | None, seed: int
) -> ScalarModel:
    """The model to train: a new head on it, or its own where it has one. Raises ConfigError, ModelError."""
    made = ScalarModel.start(model, head, seed=seed, device=hardware.device)
    if hardware.gradient_checkpointing:
        checkpoint_layers(made.policy.model)
    if lora is not None:
        add_lora(made.policy, rank=lora.rank, alpha=lora.alpha)
        made.head.requires_grad_(True)
    return made


def unchanged(scores: Measure) -> Measure:
    """The scores as they are."""
    return scores


def learn(
    run: RunFolder,
    start: Callable[[], Scores],
    shown: Sequence[AnyGroup],
    config: RewardConfig,
    hardware: Hardware,
    seed: int,
    *,
    comparison: Comparison = plain,
    adjusted: Callable[[Measure], Measure] = unchanged,
    name: str = "judge",
    stage: str = STAGE,
) -> Path:
    """Trains what `start` makes; returns its folder, called `name` in the run.

    `adjusted` changes the scores that the loss compares. Models of one run are stages of their own.
    """

    def learner(model: Scores) -> Learner:
        scores = adjusted(model.measure)
        return Learner(
            name="reward model",
            module=model,
            batches=lambda done: pair_batches(shown, model.encoded, model.costs, config, seed, done),
            loss=lambda share: pair_loss(scores, share, comparison, tie_coefficient=config.tie_coefficient),
            num_updates=config.num_updates(len(shown)),
            optim=config.optim,
            part_of=part_of,
            cost=lambda share: share.cost,
        )

    return kept(run, start, learner, hardware, name=name, stage=stage)


def kept(
    run: RunFolder,
    start: Callable[[], Model],
    learner: Callable[[Model], Learner],
    hardware: Hardware,
    *,
    name: str,
    stage: str,
) -> Path:
    """Trains what `start` makes as its learner says, where it is not there already; returns its folder."""
    target = run.path / name
    if target.exists():
        return target
    model = start()
    learning = learner(model)
    with bar("reward model", learning.num_updates) as progress:
        train(
            run,
            stage,
            learning,
            save_every=hardware.save_every,
            progress=lambda update: progress(update.number, f"loss {update.metrics['loss']:.3f}"),
        )
    write_folder(target, model.save)
    return target


def measured(
    run: RunFolder, judge: Path, preferences: Sequence[Preference], hardware: Hardware
) -> list[Figure]:
    """The judge and its controls on held-out preferences, with some of these to look at.

    A score has no order, so both orders of a pair say the same, and one would do.
    """
    model = load_scorer(judge, device=hardware.device)
    trained = Scalar(model=model)
    subjects = [
        Subject(name="trained", role="trained", judge=lambda votes: trained),
        Subject(
            name="trained, images shuffled", role="control", judge=lambda votes: trained, shuffle_images=True
        ),
        Subject(name="longer wins", role="control", judge=lambda votes: longer_wins),
    ]
    measure(run, subjects, preferences)
    assert isinstance(model, ScalarModel)
    rows = [_shown(preference, model) for preference in preferences[:SHOWN]]
    run.write_rollouts(STAGE, 0, [{"update": 0, **row} for row in rows])
    short = {
        "trained": "accuracy",
        "trained, images shuffled": "images_shuffled",
        "longer wins": "longer_wins",
    }
    return accuracies(run, short)


def accuracies(run: RunFolder, short: Mapping[str, str] = MappingProxyType({})) -> list[Figure]:
    """The accuracy of every judge that the run has measured, by a `short` name or that of the judge."""
    results = json.loads((run.path / "results.json").read_text(encoding="utf-8"))
    return [
        Figure(
            name=short.get(one["judge"], one["judge"]),
            value=one["accuracy_mean"],
            about=f"share of held-out pairs that are right: {one['judge']}",
            low=one["interval"][0],
            high=one["interval"][1],
            n=one["n"],
        )
        for one in results
    ]


def _shown(preference: Preference, model: ScalarModel) -> dict[str, Any]:
    """A question with the score of each response, as the report shows rollouts."""
    [scores] = model.scores([preference])
    return {
        "question": transcript(preference),
        "responses": list(preference.responses),
        "best": preference.best,
        "images": preference.asked_images,
        "completions": [
            {
                "text": in_words(response),
                "reward": score if isinstance(score, float) else None,
                "parts": {"result": float(number == preference.best)},
            }
            for number, (response, score) in enumerate(zip(preference.responses, scores, strict=True))
        ],
    }
