"""Images kept as bytes until a model looks at them.

The processor of a Qwen-VL model makes eight bytes of every byte of an image: a float32 for each of two
frames, which for an image are the same. A batch of prompts would fill gigabytes, and cross to a GPU as such.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

BYTES = "pixel_bytes"
"""Among a prompt's media: the patches of its images as uint8 [N, 3 x patch size²], without the frames."""
COLOURS, VALUES = 3, 256
AS_BYTES = {"do_rescale": False, "do_normalize": False}
"""What a processor is told so that its numbers are the bytes themselves."""


class Pixels:
    """The numbers that one image processor makes of bytes, as a table."""

    def __init__(self, images: Qwen2VLImageProcessorPil) -> None:
        ramp = np.tile(np.arange(VALUES, dtype=np.uint8), (COLOURS, 1, 1))
        scaled = images.rescale(ramp, images.rescale_factor)
        numbers = images.normalize(scaled, images.image_mean, images.image_std)
        self.frames = images.temporal_patch_size
        self._table = torch.from_numpy(np.ascontiguousarray(numbers, dtype=np.float32)).flatten()

    @classmethod
    def of(cls, processor: Any) -> Self | None:
        """None for a processor whose images are kept as it makes them."""
        images: Any = getattr(processor, "image_processor", None)
        known = type(images) is Qwen2VLImageProcessorPil and images.do_rescale and images.do_normalize
        return cls(images) if known else None

    def pack(self, patches_NK: Tensor) -> Tensor:
        """The bytes of what the processor makes when it is told AS_BYTES, [N, frames x K] to [N, K]."""
        first_frame_NCP = torch.unflatten(patches_NK, 1, (COLOURS, self.frames, -1))[:, :, 0]
        return first_frame_NCP.flatten(1).to(torch.uint8)

    def unpack(self, media: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The media as the model takes them: what the processor makes of the images, bit by bit."""
        if BYTES not in media:
            return dict(media)
        bytes_NCP = torch.unflatten(media[BYTES], 1, (COLOURS, -1))
        self._table = self._table.to(bytes_NCP.device)
        first_C1 = torch.arange(COLOURS, dtype=torch.int32, device=bytes_NCP.device)[:, None] * VALUES
        numbers = self._table.index_select(0, (bytes_NCP.int() + first_C1).flatten())
        once_NC1P = numbers.view(bytes_NCP.shape).unsqueeze(2)
        pixel_values = once_NC1P.expand(-1, -1, self.frames, -1).flatten(1)
        return {"pixel_values": pixel_values, **{k: v for k, v in media.items() if k != BYTES}}
