"""Model folders that transformers 4.57 and 5 read alike, and servers with them.

transformers 5 renamed what a folder says: the rotary base, whether the output weights are the input
weights, the number type, the processor's file, the tokenizer's class. Release 4.57 knows none of the new
names and fills what it misses with a default or with random numbers, mostly without a word. Here each is
written under both names, or under the older one where both read that.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file, save_file

READ_BY_BOTH = frozenset(
    {"llama", "llava", "mistral", "qwen2", "qwen2_5_vl", "qwen2_vl", "qwen3", "qwen3_vl"}
)
"""The families that `make loaders` loads in both releases and finds equal."""

_CLIP = "clip_vision_model"
_AT_TOP = ("rope_theta", "partial_rotary_factor")
_NEEDS_NEWER = """\
# A model saved by StableReward

Load it with transformers 5.16 or newer. An older release may load this family ({family}) without a complaint
and compute something else: that was not tested.
"""

Settings = dict[str, Any]
"""What a JSON file of a model folder says."""


def make_portable(folder: Path, model: Any, stop_ids: Sequence[int] = ()) -> None:
    """Rewrites what stands beside the weights in the folder of `model`, as transformers 5 has saved it.

    `stop_ids`, the tokens that end a completion, go into the configs, with a neutral generation config; a
    model that does not write has none. A family that is not known to load in release 4.57 gets a README
    that says which release it needs.
    """
    config = _read(folder / "config.json")
    _spell_config(config, _is_tied(model), stop_ids)
    _write(folder / "config.json", config)
    _rewrite(folder / "tokenizer_config.json", _spell_tokenizer)
    if (folder / "processor_config.json").exists():
        _split_processor(folder)
    if _tower(config) == _CLIP:
        _name_tower(folder)
    if stop_ids:
        _write(folder / "generation_config.json", neutral_generation(model, stop_ids))
    if config["model_type"] not in READ_BY_BOTH or (
        config["model_type"] == "llava" and _tower(config) != _CLIP
    ):
        text = _NEEDS_NEWER.format(family=config["model_type"])
        (folder / "README.md").write_text(text, encoding="utf-8")


def neutral_generation(model: Any, stop_ids: Sequence[int]) -> Settings:
    """A generation config that leaves every distribution as the model gives it.

    Servers fill what a request leaves unsaid from this file (vLLM, SGLang), and so does `generate`, which
    keeps 50 tokens where it finds nothing. All tokens is spelled as a `top_k` of the vocabulary's size: 0
    is refused by SGLang, -1 by transformers, and null is 50 again. Release 4.57 saves a `top_k` only
    beside `do_sample`.
    """
    own = model.generation_config
    return {
        "bos_token_id": own.bos_token_id,
        "do_sample": True,
        "eos_token_id": list(stop_ids),
        "pad_token_id": own.pad_token_id if own.pad_token_id is not None else stop_ids[0],
        "temperature": 1.0,
        "top_k": model.config.get_text_config().vocab_size,
        "top_p": 1.0,
    }


def _spell_config(config: Settings, tied: bool | None, stop_ids: Sequence[int]) -> None:
    text = config.get("text_config", config)
    for part in (config, *(part for part in config.values() if isinstance(part, dict))):
        if part.get("dtype") is not None:
            part["torch_dtype"] = part["dtype"]
        _spell_rotary(part)
    if tied is not None:
        # Release 5 reads the upper one and 4.57 the one beside the vocabulary.
        config["tie_word_embeddings"] = text["tie_word_embeddings"] = tied
    if stop_ids:
        text["eos_token_id"] = list(stop_ids) if len(stop_ids) > 1 else stop_ids[0]


def _spell_rotary(part: Settings) -> None:
    """`rope_theta` and `rope_scaling`, which 4.57 reads, beside `rope_parameters`.

    Release 5 prefers `rope_scaling` where it is there, and takes the rest from `rope_theta`; so both say all.
    """
    rope = part.get("rope_parameters")
    if not isinstance(rope, dict) or "rope_theta" not in rope or rope.get("rope_type") == "axial":
        return
    scaling = {name: value for name, value in rope.items() if name not in _AT_TOP}
    part.update({name: rope[name] for name in _AT_TOP if name in rope})
    part["rope_scaling"] = None if scaling == {"rope_type": "default"} else scaling


def _spell_tokenizer(settings: Settings) -> None:
    """The class that both have for a tokenizer.json as it is, and the older name of the special tokens."""
    if settings.get("tokenizer_class") == "TokenizersBackend":
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    if isinstance(settings.get("extra_special_tokens"), list):
        settings["additional_special_tokens"] = settings.pop("extra_special_tokens")


def _split_processor(folder: Path) -> None:
    """Gives the image half and the video half of a processor files of their own, which both read."""
    settings = _read(folder / "processor_config.json")
    for half, name in (("image_processor", "preprocessor"), ("video_processor", "video_preprocessor")):
        if half in settings:
            own = {"processor_class": settings.get("processor_class"), **settings.pop(half)}
            _write(folder / f"{name}_config.json", own)
    _write(folder / "processor_config.json", settings)


def _tower(config: Settings) -> Any:
    return config.get("vision_config", {}).get("model_type")


def _name_tower(folder: Path) -> None:
    """Names the weights of a CLIP tower as published files do; 4.57 fills any other with random numbers.

    Release 5 writes these names where it has read them. A model that was made in code has none.
    """

    def name_of(name: str) -> str:
        named = "vision_model." in name
        return name if named else name.replace("vision_tower.", "vision_tower.vision_model.", 1)

    def rename_index(index: Settings) -> None:
        index["weight_map"] = {name_of(name): file for name, file in index["weight_map"].items()}

    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as held:
            names = list(held.keys())
        if any(name_of(name) != name for name in names):
            renamed = {name_of(name): weight for name, weight in load_file(file).items()}
            save_file(renamed, file, {"format": "pt"})
    _rewrite(folder / "model.safetensors.index.json", rename_index)


def _is_tied(model: Any) -> bool | None:
    """Whether the output weights are the input weights, by the weights; None for a model without a head."""
    head = model.get_output_embeddings()
    return None if head is None else head.weight is model.get_input_embeddings().weight


def _rewrite(path: Path, change: Callable[[Settings], None]) -> None:
    """Changes the settings of a file, where there is one."""
    if path.exists():
        settings = _read(path)
        change(settings)
        _write(path, settings)


def _read(path: Path) -> Settings:
    settings: Settings = json.loads(path.read_text(encoding="utf-8"))
    return settings


def _write(path: Path, settings: Settings) -> None:
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
