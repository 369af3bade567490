"""A model folder's processor: tokenizer and image processor, the same with and without torchvision.

The Qwen-VL processors insist on a video processor, which needs torchvision. Frames of a video are
images here, so the image half is enough. Images always go through PIL, so that a picture gives the
same pixels on every machine.
"""

from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoProcessor, AutoTokenizer
from transformers.models.qwen2_5_vl.processing_qwen2_5_vl import Qwen2_5_VLProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor

from stablereward.policies.chat_template import find_template

MAX_SHOWN = 300
UNREADABLE = (
    OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError,
    RuntimeError, ImportError, SafetensorError, StrictDataclassError,
)  # fmt: skip
"""What transformers raises for a model folder whose files are missing, damaged or of another kind."""


class ImageOnlyQwen2_5VLProcessor(Qwen2_5_VLProcessor):  # type: ignore[misc]
    """The Qwen2-VL and Qwen2.5-VL processor without its video half."""

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:
        super().__init__(image_processor, tokenizer, chat_template=chat_template)


class ImageOnlyQwen3VLProcessor(Qwen3VLProcessor):  # type: ignore[misc]
    """The Qwen3-VL processor without its video half."""

    def __init__(self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None) -> None:
        super().__init__(image_processor, tokenizer, chat_template=chat_template)


# A saved processor names its class; others must find the one that transformers has.
ImageOnlyQwen2_5VLProcessor.__name__ = "Qwen2_5_VLProcessor"
ImageOnlyQwen3VLProcessor.__name__ = "Qwen3VLProcessor"

IMAGE_ONLY = {
    "qwen2_vl": ImageOnlyQwen2_5VLProcessor,
    "qwen2_5_vl": ImageOnlyQwen2_5VLProcessor,
    "qwen3_vl": ImageOnlyQwen3VLProcessor,
}


def cause(error: Exception) -> str:
    """The first line of what an error says, with the next where it ends in a colon; its kind where it says
    nothing."""
    first, *more = (str(error).strip() or type(error).__name__).splitlines()
    return f"{first} {more[0].strip()}"[:MAX_SHOWN] if more and first.endswith(":") else first[:MAX_SHOWN]


def load_processor(folder: Path, model_type: str, *, trust_remote_code: bool = False) -> Any:
    """The processor of a model folder, with its chat template; text models get their tokenizer alone.

    Raises one of `UNREADABLE` as transformers does, for the caller to word, and ModelError where the
    template's date cannot be pinned.
    """
    processor = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
    if (folder / "preprocessor_config.json").exists() or (folder / "processor_config.json").exists():
        if model_type in IMAGE_ONLY:
            images = Qwen2VLImageProcessorPil.from_pretrained(folder)
            processor = IMAGE_ONLY[model_type](images, processor)
        else:
            processor = AutoProcessor.from_pretrained(
                folder, backend="pil", trust_remote_code=trust_remote_code
            )
    processor.chat_template = find_template(folder, processor)
    return processor
