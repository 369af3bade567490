"""The base model of the world of captions, trained from nothing.

    python -m stablereward.worlds.captions.base FOLDER

writes a Llama of a ninth of a million parameters that captions as the careless writer does; a minute on
one core. It is shipped as "captions".
"""

import sys
from pathlib import Path

from stablereward.worlds.base import WarmStart, warm_start
from stablereward.worlds.captions.grammar import VOCABULARY, scenes, written


def run(folder: Path, config: WarmStart) -> None:
    """Trains and saves it."""
    words = [f" {word}" for word in ("a", "on", "the", *VOCABULARY)]
    warm_start(folder, words, scenes(4096, seed=config.seed), written, config)


if __name__ == "__main__":
    run(Path(sys.argv[1]), WarmStart(num_updates=1200))
