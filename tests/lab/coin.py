"""A coin (https://example.org/coin): thrown so often that its side is known.

A recipe that takes no time, for the tests of the lab.
"""

import json
import random
from dataclasses import dataclass
from pathlib import Path

from stablereward.config import dump
from stablereward.errors import TrainingError
from stablereward.lab.experiment import Arm, Claim, Experiment, difference, equal, level, ratio
from stablereward.runs.figures import Figure, write
from stablereward.runs.folder import RunFolder


@dataclass(frozen=True, kw_only=True)
class Config:
    throws: int = 10_000
    heads: float = 0.5
    broken: bool = False
    output: Path = Path("runs/coin")
    seed: int = 0


def tiny() -> Config:
    return Config(throws=200)


def throw(config: Config) -> list[int]:
    """1 for heads."""
    rng = random.Random(config.seed)
    return [int(rng.random() < config.heads) for _ in range(config.throws)]


def run(config: Config, *, resume: bool = False) -> Path:
    folder = RunFolder(config.output)
    folder.open(dump(config), resume=resume)
    if config.broken and config.seed == 1:
        raise TrainingError("the coin is gone")
    thrown = throw(config)
    (config.output / "metrics.jsonl").write_text("")
    for number in range(0, len(thrown), 10):
        heads = sum(thrown[number : number + 10]) / 10
        folder.log("throw", number + 1, {"heads": heads}, seconds=0.1)
    write(folder.path, [Figure(name="heads", value=sum(thrown) / len(thrown), about="share of heads")])
    (folder.path / "calls.jsonl").open("a").write(json.dumps({"seed": config.seed}) + "\n")
    return folder.path


EXPERIMENT = Experiment(
    says="A fair coin shows heads in half of the throws.",
    arms={
        "loaded": Arm(about="heads in 80 % of the throws", changes=("heads=0.8",)),
        "fair": Arm(about="the coin as it is"),
        "fair again": Arm(about="the same seed once more"),
    },
    figures={"heads": "share of heads"},
    claims=(
        Claim(says="A loaded coin shows", measure=difference("heads", "loaded", "fair"), above=0.1,
              control="a coin as fair as the other", positive=True),
        Claim(says="The same seed is the same run", measure=equal("heads", "fair", "fair again"), above=0.5,
              control="anything that is not seeded"),
        Claim(says="A fair coin shows heads always", measure=level("heads", "fair"), above=0.9,
              control="the coin"),
        Claim(says="A fair coin shows exactly half", measure=level("heads", "fair"), above=0.5,
              control="chance"),
        Claim(says="A gone arm has no value", measure=ratio("heads", "gone", "fair"), below=1.0,
              control="none"),
    ),
    watched=(("throw", "heads"),),
)  # fmt: skip
