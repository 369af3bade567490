"""The shapes of published checkpoints, to plan and to measure with before anything is downloaded."""

from dataclasses import dataclass
from typing import Any

VISION = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16}
"""The vision tower of Qwen2.5-VL, the same at every size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A language model of the Qwen2 or the Llama kind."""

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

_QWEN_7B = {"model_type": "qwen2", **SIZES["7B"].config()}
_QWEN_VL_7B = {
    "model_type": "qwen2_5_vl",
    "text_config": SIZES["7B"].config(),
    "vision_config": {**VISION, "out_hidden_size": 3584},
    "tie_word_embeddings": False,
}
_LLAMA_7B = Size(hidden=4096, layers=32, heads=32, keys=32, mlp=11_008, vocabulary=32_000, tied=False)
_LLAMA_3_8B = Size(hidden=4096, layers=32, heads=32, keys=8, mlp=14_336, vocabulary=128_256, tied=False)
_LLAMA_3_70B = Size(hidden=8192, layers=80, heads=64, keys=8, mlp=28_672, vocabulary=128_256, tied=False)
_MISTRAL_7B = Size(hidden=4096, layers=32, heads=32, keys=8, mlp=14_336, vocabulary=32_000, tied=False)
_PYTHIA_410M = {
    "model_type": "gpt_neox",
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "vocab_size": 50_304,
    "tie_word_embeddings": False,
}
_LLAVA_ONEVISION_7B = {
    "model_type": "llava_onevision",
    "text_config": {**_QWEN_7B, "vocab_size": 152_000},
    "vision_config": {
        "model_type": "siglip_vision_model",
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 26,
        "num_attention_heads": 16,
        "patch_size": 14,
        "image_size": 384,
        "vision_use_head": False,
    },
    "tie_word_embeddings": False,
}
NAMED: dict[str, dict[str, Any]] = {
    "Qwen/Qwen2.5-VL-7B-Instruct": _QWEN_VL_7B,
    "Qwen/Qwen2.5-7B-Instruct": _QWEN_7B,
    "Qwen/Qwen2.5-Math-7B": _QWEN_7B,
    "Qwen/Qwen2.5-Math-7B-Instruct": _QWEN_7B,
    "seeklhy/OmniSQL-7B": _QWEN_7B,
    "huggyllama/llama-7b": {"model_type": "llama", **_LLAMA_7B.config()},
    "meta-llama/Meta-Llama-3-8B": {"model_type": "llama", **_LLAMA_3_8B.config()},
    "meta-llama/Llama-3.1-70B-Instruct": {"model_type": "llama", **_LLAMA_3_70B.config()},
    "HuggingFaceH4/mistral-7b-sft-beta": {"model_type": "mistral", **_MISTRAL_7B.config()},
    "lmms-lab/llava-onevision-qwen2-7b-ov": _LLAVA_ONEVISION_7B,
    **{f"EleutherAI/pythia-410m-seed{number}": _PYTHIA_410M for number in range(1, 10)},
}
"""What the papers' settings begin from, by name on the hub: enough of config.json to know every shape."""

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
