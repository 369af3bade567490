"""The base model of the world of sums, trained from nothing.

    python -m stablereward.worlds.sums.base FOLDER

writes a Llama of a ninth of a million parameters that works sums out as the writer of `problems` does,
mistakes and bad habits included; some minutes on one core. It is shipped as "sums".
"""

import sys
from pathlib import Path

from stablereward.worlds.base import WarmStart, warm_start
from stablereward.worlds.sums.problems import WORDS, problems, written


def run(folder: Path, config: WarmStart) -> None:
    """Trains and saves it."""
    warm_start(folder, WORDS, problems(8192, seed=config.seed), written, config)


if __name__ == "__main__":
    run(Path(sys.argv[1]), WarmStart(num_updates=2000))
