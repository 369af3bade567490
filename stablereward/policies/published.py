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

SD1_UNET = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
SD1_VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "sample_size": 512,
}
SD1_WORDS = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
}
"""From the configs of Stable Diffusion 1.5; what they leave out is as diffusers has it."""
PICKSCORE = {
    "text_config": {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
    },
    "vision_config": {
        "hidden_size": 1280,
        "intermediate_size": 5120,
        "num_hidden_layers": 32,
        "num_attention_heads": 16,
        "patch_size": 14,
    },
    "projection_dim": 1024,
}
"""CLIP ViT-H/14, which PickScore is."""
