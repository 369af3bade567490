"""How well words and a picture go together by a CLIP model, with a gradient to the picture.

PickScore (https://arxiv.org/abs/2305.01569) and CLIPScore are such models.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.nn.functional import interpolate, normalize
from transformers import AutoTokenizer, CLIPModel

from stablereward.errors import ModelError
from stablereward.types import Prompt

MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's pixels."""


class ClipScore:
    """The cosine of the embeddings of words and picture, in [-1, 1]. Words are read once.

    Raises ModelError where the folder or hub name has no CLIP model.
    """

    def __init__(self, path_or_name: str | Path, device: torch.device) -> None:
        try:
            model = CLIPModel.from_pretrained(path_or_name, use_safetensors=True)
            self.tokenizer = AutoTokenizer.from_pretrained(path_or_name)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            cause = str(error).strip().partition("\n")[0]
            raise ModelError(f"{path_or_name}: cannot be loaded as a CLIP model: {cause}") from error
        self.model = model.to(device).requires_grad_(False).eval()
        self.size: int = model.config.vision_config.image_size
        self._words: dict[str, Tensor] = {}

    def __call__(self, prompts: Sequence[Prompt], pictures_BCHW: Tensor) -> Tensor:
        channels = pictures_BCHW.expand(-1, 3, -1, -1)
        small = interpolate(channels, (self.size, self.size), mode="bicubic", antialias=True)
        mean, std = (small.new_tensor(values)[:, None, None] for values in (MEAN, STD))
        seen = self.model.vision_model(((small + 1) / 2 - mean) / std).pooler_output
        pictures = normalize(self.model.visual_projection(seen), dim=-1)
        words = torch.stack([self._read(prompt.text) for prompt in prompts])
        return (pictures * words).sum(-1)

    @torch.no_grad()
    def _read(self, text: str) -> Tensor:
        if text not in self._words:
            ids = self.tokenizer(text, truncation=True, return_tensors="pt").to(self.model.device)
            said = self.model.text_model(**ids).pooler_output
            self._words[text] = normalize(self.model.text_projection(said)[0], dim=-1)
        return self._words[text]
