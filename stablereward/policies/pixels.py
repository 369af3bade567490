"""The images of prompts as tensors, kept as bytes until a model looks at them.

The processor of a Qwen-VL model makes eight bytes of every byte of an image: a float32 for each of two
frames, which for an image are the same. A batch of prompts would fill gigabytes, and cross to a GPU as such.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from stablereward.errors import ModelError
from stablereward.policies.processor import cause

Media = Mapping[str, Tensor]
"""The tensors of images by the names that a model's forward takes."""
PIXELS = "pixel_values"
AS_BYTES = {"do_rescale": False, "do_normalize": False}
"""What a processor is told so that its numbers are the bytes themselves."""
COLOURS, VALUES = 3, 256


class ByteTable:
    """The numbers that one image processor makes of bytes, of each colour its own."""

    def __init__(self, images: Qwen2VLImageProcessorPil) -> None:
        ramp = np.tile(np.arange(VALUES, dtype=np.uint8), (COLOURS, 1, 1))
        scaled = images.rescale(ramp, images.rescale_factor)
        numbers = images.normalize(scaled, images.image_mean, images.image_std)
        self.frames = images.temporal_patch_size
        self._numbers = torch.from_numpy(np.ascontiguousarray(numbers, dtype=np.float32)).flatten()

    @classmethod
    def of(cls, processor: Any) -> Self | None:
        """None for a processor whose images are kept as it makes them. Raises ModelError."""
        images: Any = getattr(processor, "image_processor", None)
        known = type(images) is Qwen2VLImageProcessorPil and images.do_rescale and images.do_normalize
        try:
            return cls(images) if known else None
        except (TypeError, ValueError) as error:
            raise ModelError(f"the model's image processor cannot be used: {cause(error)}") from error

    def pack(self, patches_NK: Tensor) -> Tensor:
        """The bytes of what the processor makes when it is told AS_BYTES, [N, frames x K] to [N, K]."""
        first_frame_NCP = torch.unflatten(patches_NK, 1, (COLOURS, self.frames, -1))[:, :, 0]
        return first_frame_NCP.flatten(1).to(torch.uint8)

    def unpack(self, bytes_NK: Tensor) -> Tensor:
        """What the processor makes of the images when it is told nothing, bit by bit."""
        bytes_NCP = torch.unflatten(bytes_NK, 1, (COLOURS, -1))
        first_C1 = torch.arange(COLOURS, dtype=torch.int32, device=bytes_NK.device)[:, None] * VALUES
        numbers = self._numbers.to(bytes_NK.device)
        found = numbers.index_select(0, (bytes_NCP.int() + first_C1).flatten())
        return found.view(bytes_NCP.shape).unsqueeze(2).expand(-1, -1, self.frames, -1).flatten(1)


class PackedMedia(Media):
    """Media that keep their pixels as bytes, and make numbers of them whenever they are asked."""

    def __init__(self, table: ByteTable, stored: Media) -> None:
        self.table, self.stored = table, stored

    def __getitem__(self, name: str) -> Tensor:
        value = self.stored[name]
        return self.table.unpack(value) if name == PIXELS else value

    def __contains__(self, name: object) -> bool:
        return name in self.stored  # a mapping's own would make the numbers to find out

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)


def num_bytes(media: Media) -> int:
    """The memory that they take."""
    return sum(value.nbytes for value in _stored(media).values())


def moved(media: Media, device: torch.device) -> Media:
    """The same on another device."""
    return _like(media, {name: value.to(device) for name, value in _stored(media).items()})


def joined(parts: Sequence[Media]) -> Media:
    """Those of several prompts one after the other; prompts without images add nothing."""
    present = [media for media in parts if media]
    if not present:
        return {}
    stored = [_stored(media) for media in present]
    names = {name: None for media in stored for name in media}
    together = {name: torch.cat([media[name] for media in stored if name in media]) for name in names}
    return _like(present[0], together)


def _stored(media: Media) -> Media:
    return media.stored if isinstance(media, PackedMedia) else media


def _like(media: Media, stored: Media) -> Media:
    return PackedMedia(media.table, stored) if isinstance(media, PackedMedia) else stored
