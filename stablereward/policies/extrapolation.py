"""Weights beyond those that were trained, along the way that training went."""

from collections.abc import Mapping

from torch import Tensor

from stablereward.errors import ModelError


def extrapolated(
    start: Mapping[str, Tensor], trained: Mapping[str, Tensor], alpha: float
) -> dict[str, Tensor]:
    """trained + alpha (trained - start): ExPO, https://arxiv.org/abs/2404.16792.

    At alpha 0 what was trained, at -1 where it began. Whole numbers are taken as trained; float16 and
    bfloat16 are computed in float32. Raises ModelError for weights of other names or shapes.
    """
    for name in start.keys() ^ trained.keys():
        raise ModelError(f"weight {name} is in one of the two models only; give one model before and after")
    for name, weight in trained.items():
        if start[name].shape != weight.shape:
            raise ModelError(f"weight {name} has another shape before and after; give one model")
    return {name: _moved(start[name], weight, alpha) for name, weight in trained.items()}


def _moved(start: Tensor, trained: Tensor, alpha: float) -> Tensor:
    if not trained.is_floating_point():
        return trained.clone()
    exact = trained if trained.dtype.itemsize > 2 else trained.float()
    return (exact + alpha * (exact - start.to(exact))).to(trained.dtype)
