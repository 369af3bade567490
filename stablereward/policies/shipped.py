"""Where a model is: a folder, a model that comes with the package, or a name on the Hugging Face hub."""

import os
import re
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)

from stablereward.errors import ModelError

SHIPPED = {
    "toy": "the tiny judge, trained by the demo's recipe on the toy world",
    "toy-base": "the tiny model the demo starts from; it describes the toy world and is no judge",
    "captions": "a tiny Llama that captions scenes as a careless writer does (worlds/captions)",
    "sums": "a tiny Llama that works sums out step by step, with mistakes and bad habits (worlds/sums)",
}

PIPELINES = {
    "shapes": "a tiny Stable Diffusion pipeline that draws the world of shapes",
    "shapes-flow": "the same by a tiny Stable Diffusion 3, a rectified flow",
}
"""Shipped generators of pictures."""

MAX_SHOWN = 200
_HUB_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_HUB_FILES = ("*.safetensors", "*.json", "*.txt", "*.jinja", "*.model")


def model_folder(path_or_name: str | Path) -> Path:
    """The folder of a model: a path, the name of a shipped model, or OWNER/NAME of a hub model.

    A folder of that name in the working directory does not shadow a shipped one; write `./toy`. A hub
    model is downloaded once, safetensors only. Raises ModelError where there is no such model.
    """
    if str(path_or_name) in SHIPPED:
        folder = Path(__file__).parent.parent / "models" / str(path_or_name)
        if folder.is_dir():
            return folder
        raise ModelError(f"the shipped model {path_or_name!r} is missing from this installation: {folder}")
    folder = Path(os.path.expanduser(path_or_name))
    if not os.path.exists(folder) and _HUB_NAME.fullmatch(str(path_or_name)):
        folder = _downloaded(str(path_or_name))
    if os.path.isfile(folder / "adapter_config.json"):
        # transformers would take the weights from wherever that file points to.
        raise ModelError(
            f"{folder}: has an adapter beside or instead of a model (adapter_config.json); merge it into its "
            "base model (merge_and_unload of peft), save that, and give its folder"
        )
    if not os.path.isfile(folder / "config.json"):
        names = ", ".join(SHIPPED)
        raise ModelError(
            f"{_short(folder)}: no model here (no config.json); give a model folder or one of: {names}"
        )
    return folder


def pipeline_source(path_or_name: str | Path) -> str:
    """The folder of a pipeline that makes pictures, or OWNER/NAME of the hub, as diffusers takes it.

    Shipped ones and folders are named as for `model_folder`. Raises ModelError where there is none.
    """
    if str(path_or_name) in PIPELINES:
        return str(Path(__file__).parent.parent / "models" / str(path_or_name))
    folder = Path(os.path.expanduser(path_or_name))
    if not os.path.exists(folder) and _HUB_NAME.fullmatch(str(path_or_name)):
        return str(path_or_name)
    if not os.path.isfile(folder / "model_index.json"):
        names = ", ".join(PIPELINES)
        raise ModelError(
            f"{_short(folder)}: no pipeline here (no model_index.json); give a pipeline's folder or one of: "
            f"{names}"
        )
    return str(folder)


def _short(folder: Path) -> str:
    """What was given may be a text of any length, and no path that the system would look up."""
    text = str(folder)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def _downloaded(name: str) -> Path:
    try:
        return Path(snapshot_download(name, allow_patterns=list(_HUB_FILES)))
    except (
        HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError,
    ) as error:  # fmt: skip
        raise ModelError(
            f"{name[:MAX_SHOWN]}: neither a folder here nor a model the hub gives ({type(error).__name__}); "
            "check the name, the network and your access, or give a folder"
        ) from error
