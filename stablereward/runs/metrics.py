"""Metrics of an update as they are to be read."""

from collections.abc import Mapping

WEIGHT = "policy/weight"
SUMS = frozenset(
    f"policy/{name}"
    for name in (
        "ratio_clip_low",
        "ratio_clip_high",
        "dual_clip",
        "preclip",
        "approx_kl",
        "kl_k1",
        "kl_reference",
        "engine_gap",
        "entropy",
    )
)
"""Sums over tokens by the weights of the loss, whose own sum is `WEIGHT`."""


def as_mean(metrics: Mapping[str, float], name: str) -> float | None:
    """The metric; one that is a sum over tokens as their mean, so that objectives can be compared."""
    value = metrics.get(name)
    weight = metrics.get(WEIGHT) if name in SUMS else None
    return value / weight if value is not None and weight else value
