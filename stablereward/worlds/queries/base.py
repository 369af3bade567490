"""A blank model for the world of queries: it has a token for each word and knows nothing."""

from pathlib import Path

from stablereward.policies.tiny import train_tokenizer
from stablereward.policies.tiny_families import create_llama
from stablereward.worlds.base import NUM_BYTES, TURNS
from stablereward.worlds.queries.questions import WORDS

ASKED = ("Question:", "\nSQL:", "\nIs the SQL correct?", "Yes", "No")
"""The fixed parts of what a judge of queries is shown and says."""


def blank(folder: Path, *, seed: int, hidden: int = 64, layers: int = 2) -> Path:
    """Makes a random Llama in the folder, which is returned; as it is where it is there."""
    if not (folder / "config.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        words = [f" {word}" for word in WORDS if word != "."]
        keys = [".", *(word for word in WORDS if word.isalpha() and word.islower())]
        tokenizer = train_tokenizer((), vocab_size=NUM_BYTES, phrases=[*TURNS, *ASKED, *words, *keys])
        create_llama(folder, tokenizer, seed=seed, hidden=hidden, layers=layers)
    return folder
