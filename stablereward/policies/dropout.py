"""Dropout and other noise of training: none here, for what is trained must be what was sampled."""

from typing import Any

from torch import nn

_NOISE = ("drop", "jitter")


def without_dropout(model: nn.Module) -> bool:
    """Turns every dropout of a model off, in place, its config included; says whether there was one.

    With dropout a policy's log-probabilities are random, so that ratios, divergences and the distance from
    the engine are noise. Layers keep its rate in modules, in numbers of their own, or read it in the config.
    """
    configs = {id(c): c for module in model.modules() if (c := getattr(module, "config", None)) is not None}
    found = False
    for part in (*model.modules(), *configs.values()):
        for name, value in list(getattr(part, "__dict__", {}).items()):
            if isinstance(value, float) and value and _is_noise(part, name):
                setattr(part, name, 0.0)
                found = True
    return found


def _is_noise(part: Any, name: str) -> bool:
    if isinstance(part, nn.modules.dropout._DropoutNd):
        return name == "p"
    return any(word in name for word in _NOISE)
