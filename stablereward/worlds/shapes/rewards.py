"""Rewards of the world of shapes that have a gradient with respect to the pixels. Both can be hacked.

Each takes prompts and pictures [B, 1, 16, 16] in [-1, 1] and gives a reward a picture.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from stablereward.types import Prompt
from stablereward.worlds.shapes.drawings import KINDS, SIZE, scene_of

CLASSIFIER = Path(__file__).parents[2] / "models" / "shapes-classifier" / "model.safetensors"


def bright(prompts: Sequence[Prompt], pictures_BCHW: Tensor) -> Tensor:
    """The mean level, from 0 to 1, of the quadrant that the words name. More ink is always better."""
    half, found = SIZE // 2, []
    for prompt, picture_CHW in zip(prompts, pictures_BCHW, strict=True):
        quadrant = scene_of(prompt).quadrant
        rows = slice(half, SIZE) if quadrant.startswith("bottom") else slice(0, half)
        columns = slice(half, SIZE) if quadrant.endswith("right") else slice(0, half)
        found.append((picture_CHW[:, rows, columns].mean() + 1) / 2)
    return torch.stack(found)


class Classifier(nn.Module):
    """Which class a drawing shows, by a small network, right four times in five on clean drawings."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(16, 32, 3, padding=1, stride=2),
            nn.SiLU(),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.SiLU(),
        )
        self.head = nn.Linear(32, len(KINDS))

    def forward(self, pictures_BCHW: Tensor) -> Tensor:
        """Logits [B, 4]."""
        logits: Tensor = self.head(self.features(pictures_BCHW).mean((2, 3)))
        return logits


class Cls:
    """The log-probability that the shipped classifier gives to the class that the words name.

    It knows nothing of count and quadrant.
    """

    def __init__(self, weights: Path = CLASSIFIER) -> None:
        self.classifier = Classifier().requires_grad_(False).eval()
        self.classifier.load_state_dict(load_file(weights))

    def __call__(self, prompts: Sequence[Prompt], pictures_BCHW: Tensor) -> Tensor:
        kinds = torch.tensor([KINDS.index(scene_of(prompt).kind) for prompt in prompts])
        logprobs = self.classifier.to(pictures_BCHW.device)(pictures_BCHW).log_softmax(-1)
        of_kind: Tensor = logprobs.gather(1, kinds.to(logprobs.device)[:, None])[:, 0]
        return of_kind
