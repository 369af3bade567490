"""A lab whose start is ready: the shipped judge, eight pairs to train on and four held out."""

from dataclasses import replace
from pathlib import Path

import pytest

from stablereward.lab.regimes import CALM, Regime
from stablereward.lab.start import Setup, Start, fast
from stablereward.recipes.sources import Data, Toy
from stablereward.training.policy_gradient import RLConfig

RL = replace(
    CALM.rl,
    num_updates=2,
    prompts_per_batch=2,
    num_generations=2,
    max_completion_length=48,
    max_concurrency=4,
)


def regime(rl: RLConfig = RL) -> Regime:
    return replace(CALM, rl=rl)


@pytest.fixture(scope="session")
def setup() -> Setup:
    made = fast()
    return replace(made, recipe=replace(made.recipe, data=Data(toy=Toy(num_train=8, num_held_out=4))))


@pytest.fixture(scope="session")
def start(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Start:
    made = Start(tmp_path_factory.mktemp("lab"))
    made.prepare(setup, [regime()])
    return made


@pytest.fixture
def lab(start: Start) -> Path:
    """The folder that the runs of a test may share."""
    return start.run.path.parent
