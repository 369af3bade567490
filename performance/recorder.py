"""What the flight recorder and the protection cost: `python -m performance.recorder [UPDATES]`.

Two trainings from the shipped judge at the demo's settings, one bare and one with all of it, take turns
at each update. Prints the ratio of their median times, and the share of an update that is spent within the
recorder and the protection themselves, which noise hardly touches.
"""

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from stablereward.data.prompts import r1_reward
from stablereward.data.toy.pairs import pairs
from stablereward.engines.hf import HFEngine
from stablereward.policies.parts import grad_norms, trained_parts
from stablereward.policies.token import TokenPolicy
from stablereward.recipes.completions import completion_collector
from stablereward.recipes.judges import r1_reward as recipe
from stablereward.runs.folder import RunFolder
from stablereward.training.fit import Update, fit
from stablereward.training.mending import Mender
from stablereward.training.optim import adamw
from stablereward.training.policy_gradient import policy_loss
from stablereward.training.protection import Guard, Protection
from stablereward.training.recorder import Recorder

Result = TypeVar("Result")


class Watch:
    """Seconds spent in the calls that pass through it."""

    seconds = 0.0

    def timed(self, call: Callable[..., Result]) -> Callable[..., Result]:
        def around(*given: Any, **named: Any) -> Result:
            clock = time.perf_counter()
            try:
                return call(*given, **named)
            finally:
                self.seconds += time.perf_counter() - clock

        return around


def training(folder: Path, watch: Watch | None) -> Iterator[Update]:
    """Updates at the demo's settings; with a watch also the recorder and the protection."""
    config = recipe.tiny()
    policy = TokenPolicy.load("toy", device="cpu")
    objective, rl = recipe.objective(config.stable), config.rl
    prompts = [r1_reward(pair.preference()) for pair in pairs(20 * rl.prompts_per_batch, seed=1)]
    collected = completion_collector(policy, HFEngine(policy), recipe.reward(config, folder), objective, rl)
    loss_fn = partial(policy_loss, collected.family.score, objective)
    run = RunFolder(folder)
    recorder, guard = Recorder(run, "rl", collected.family.describe), Guard(run, "rl", Protection())
    parts = trained_parts(policy)
    hooks: dict[str, Any] = {}
    if watch is not None:
        loss_fn = partial(loss_fn, observe=watch.timed(recorder.observe))
        hooks = {
            "mend": Mender(run, "rl", policy, collected, loss_fn, recorder),
            "accept": watch.timed(lambda number, norm: guard.accept(number, norm, 20.0)),
            "measure": watch.timed(lambda: grad_norms(parts)),
        }
    policy.train()
    for update in fit(
        policy.parameters(),
        collected.batches(prompts, seed=0),
        loss_fn,
        optimizer=adamw(policy.parameters(), rl.optim),
        learning_rate=lambda number: rl.optim.learning_rate,
        **hooks,
    ):
        if watch is not None:
            assert collected.last is not None
            metrics = {**update.metrics, **watch.timed(recorder.record)(update.number, collected.last)}
            watch.timed(guard.collapsed)(update.number, metrics)
        yield update


def main(num_updates: int = 12) -> None:
    """Prints the figures."""
    watch = Watch()
    seconds: dict[str, list[float]] = {"bare": [], "recorded": []}
    with tempfile.TemporaryDirectory() as folder:
        sides = {"bare": training(Path(folder), None), "recorded": training(Path(folder), watch)}
        for side in sides.values():  # The first update loads and warms up.
            next(side)
        watch.seconds = 0.0
        for _ in range(num_updates):
            for name in random.sample(sorted(sides), 2):
                clock = time.perf_counter()
                next(sides[name])
                seconds[name].append(time.perf_counter() - clock)
    bare, recorded = (statistics.median(seconds[name]) for name in ("bare", "recorded"))
    share = watch.seconds / sum(seconds["recorded"])
    ratio = recorded / bare
    print(f"{num_updates} updates each: bare {bare:.3f} s, recorded {recorded:.3f} s, ratio {ratio:.3f}")
    print(f"within recorder and protection: {1000 * watch.seconds / num_updates:.1f} ms, {share:.2%}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
