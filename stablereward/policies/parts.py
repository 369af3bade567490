"""Which parameters of a policy belong to its eyes, its language model and what joins them."""

from collections.abc import Callable, Collection
from typing import Literal

from torch import nn

from stablereward.errors import ConfigError
from stablereward.policies.policy import Savable

Part = Literal["vision", "projector", "language"]
"""What of a model may be frozen."""

_PROJECTORS = ("merger", "projector", "connector")
_VISION = ("visual", "vision")


def part_of(name: str) -> str:
    """The part of a parameter by its name: vision, projector, language, value or head.

    A projector may lie within the vision tower (Qwen's merger) or beside it (LLaVA); adapters belong to
    the layer that they are beside.
    """
    pieces = name.split(".")
    if "value_head" in pieces:
        return "value"
    if pieces[0] == "head" or "score" in pieces:
        return "head"
    if any(mark in piece for piece in pieces for mark in _PROJECTORS):
        return "projector"
    return "vision" if any(piece.startswith(_VISION) for piece in pieces) else "language"


def freeze(module: nn.Module, parts: Collection[Part]) -> None:
    """Stops these parts from learning. Raises ConfigError for a part that the model has not."""
    found = {name: part_of(name) for name, _ in module.named_parameters()}
    for part in parts:
        if part not in found.values():
            raise ConfigError(
                f"frozen: the model has no {part} part; there are {', '.join(sorted(set(found.values())))}"
            )
    for name, parameter in module.named_parameters():
        if found[name] in parts:
            parameter.requires_grad_(False)


def trained_parts(module: Savable, part_of: Callable[[str], str] = part_of) -> dict[str, list[nn.Parameter]]:
    """The parameters that are trained, by part; a frozen part is not there."""
    parts: dict[str, list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            parts.setdefault(part_of(name), []).append(parameter)
    return parts


def grad_norms(parts: dict[str, list[nn.Parameter]]) -> dict[str, float]:
    """`grad_norm/PART`: the L2 norm of each part's gradient as it is now, 0 where there is none."""
    norms = {}
    for part, parameters in parts.items():
        gradients = [p.grad for p in parameters if p.grad is not None]
        norms[f"grad_norm/{part}"] = float(nn.utils.get_total_norm(gradients)) if gradients else 0.0
    return norms
