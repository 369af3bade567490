"""Reinforcement learning as a learner: collections, their loss, what is recorded and kept of them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import nn

from stablereward.policies.policy import Savable
from stablereward.runs.folder import RunFolder
from stablereward.training.collect import Collector
from stablereward.training.fit import Update
from stablereward.training.learner import Learner
from stablereward.training.mending import Mender
from stablereward.training.policy_gradient import policy_loss
from stablereward.training.recorder import Recorder
from stablereward.training.rollouts import rollout_rows

NUM_PROMPTS_KEPT = 4


def reinforcement(
    run: RunFolder,
    stage: str,
    module: Savable,
    collector: Collector,
    prompts: Sequence[Any],
    seed: int,
    *,
    keep_every: int = 10,
    critic: nn.Module | None = None,
    part_of: Callable[[str], str] | None = None,
    name: str = "policy",
) -> Learner:
    """Trains `module`, whose trajectories `collector` collects, by its objective.

    Distributions of every update and the rollouts of every `keep_every`-th are kept in the run folder. A
    sample that makes an update not finite is left out of it and named.
    """
    config, family, objective = collector.config, collector.family, collector.objective
    recorder = Recorder(run, stage, family.describe)
    loss = partial(policy_loss, family.score, objective, value_coefficient=config.value_coefficient)

    def figures(update: Update) -> Mapping[str, float]:
        assert collector.last is not None
        if update.number % keep_every == 0 or update.number == 1:
            _keep_rollouts(run, stage, update.number, collector, recorder)
        return {**collector.last.metrics, **recorder.record(update.number, collector.last)}

    return Learner(
        name=name,
        module=module,
        batches=lambda start: collector.batches(prompts, seed, start),
        loss=lambda share: loss(share, observe=recorder.observe),
        num_updates=config.num_updates,
        optim=config.optim,
        critic=critic,
        part_of=part_of,
        cost=lambda share: share.cost,
        mend=Mender(run, stage, module, collector, loss, recorder),
        figures=figures,
        whole=config.updates_per_collection,
    )


def _keep_rollouts(run: RunFolder, stage: str, update: int, collector: Collector, recorder: Recorder) -> None:
    collection = collector.collection
    assert collector.last is not None and collection is not None
    flags = {collection.places[row]: own for row, own in recorder.flags(collector.objective).items()}
    rows = rollout_rows(
        update,
        collector.last,
        collector.family,
        NUM_PROMPTS_KEPT,
        chosen=collection.current(),
        flags=flags,
    )
    run.write_rollouts(stage, update, rows)
