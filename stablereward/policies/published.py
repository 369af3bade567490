"""The shapes of published checkpoints, to plan and to measure with before anything is downloaded."""

from dataclasses import dataclass
from typing import Any

VISION = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16}
"""The vision tower of Qwen2.5-VL, the same at every size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A language model of the Qwen2 kind."""

    hidden: int
    layers: int
    heads: int
    keys: int
    mlp: int
    vocabulary: int
    tied: bool

    def config(self) -> dict[str, Any]:
        """By the names of transformers."""
        return {
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.keys,
            "intermediate_size": self.mlp,
            "vocab_size": self.vocabulary,
            "tie_word_embeddings": self.tied,
            "max_position_embeddings": 32_768,
        }


SIZES = {
    "0.5B": Size(hidden=896, layers=24, heads=14, keys=2, mlp=4864, vocabulary=151_936, tied=True),
    "3B": Size(hidden=2048, layers=36, heads=16, keys=2, mlp=11_008, vocabulary=151_936, tied=True),
    "7B": Size(hidden=3584, layers=28, heads=28, keys=4, mlp=18_944, vocabulary=152_064, tied=False),
}
"""From config.json of Qwen2.5-0.5B, Qwen2.5-VL-3B-Instruct and Qwen2.5-VL-7B-Instruct."""
