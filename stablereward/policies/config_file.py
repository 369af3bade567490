"""A model's config.json, whose sizes are looked at before anything of these sizes is made."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transformers import AutoConfig

MOST = {
    "depth": 1024,
    "head_dim": 2**16,
    "hidden_size": 2**20,
    "intermediate_size": 2**24,
    "max_position_embeddings": 2**40,
    "num_attention_heads": 2**14,
    "num_heads": 2**14,
    "num_hidden_layers": 1024,
    "num_key_value_heads": 2**14,
    "patch_size": 2**12,
    "spatial_merge_size": 2**8,
    "vocab_size": 2**24,
}
"""The largest of each that is believed, some ten times those of any published model; the least is 1."""


def read_config(folder: Path, *, trust_remote_code: bool = False) -> Any:
    """The configuration of a model folder.

    Raises one of `processor.UNREADABLE`, which the caller words: what transformers raises, and ValueError
    for a size that no model has, which would be made at length or fail in the middle of a forward.
    """
    config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    for part in _parts(config):
        for name, most in MOST.items():
            size = getattr(part, name, None)
            if isinstance(size, int) and not 1 <= size <= most:
                raise ValueError(f"{name} is {size} in config.json; it must be 1 to {most}")
        _require_rotary(part)
    return config


def _parts(config: Any) -> Iterator[Any]:
    yield config
    for name in getattr(config, "sub_configs", {}):
        if (part := getattr(config, name, None)) is not None:
            yield from _parts(part)


def _require_rotary(part: Any) -> None:
    """The base turns forwards, and the axes of M-RoPE share a head among them."""
    rope = getattr(part, "rope_parameters", None)
    if not isinstance(rope, Mapping):
        return
    base = rope.get("rope_theta", 1.0)
    if not isinstance(base, int | float) or not base > 0:
        raise ValueError(f"rope_theta is {base!r} in config.json; it must be a number above 0")
    if "mrope_section" in rope:
        sections = rope["mrope_section"]
        if not isinstance(sections, list) or not all(type(one) is int and one > 0 for one in sections):
            raise ValueError(f"mrope_section is {sections!r} in config.json; it must be a list of counts")
        head = getattr(part, "head_dim", None) or part.hidden_size // part.num_attention_heads
        if 2 * sum(sections) != int(head * rope.get("partial_rotary_factor", 1.0)):
            raise ValueError(
                f"mrope_section is {sections} in config.json; it must add up to half a head of {head}"
            )
