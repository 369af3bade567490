"""What a real forward pass keeps for the backward pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


@contextmanager
def saved(model: Any) -> Iterator[dict[int, torch.UntypedStorage]]:
    """The storages that are kept, the model's weights left out. Filled while the context is open."""
    weights = {p.untyped_storage()._cdata for p in model.parameters()}
    found: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            found[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield found


def num_bytes(found: dict[int, torch.UntypedStorage]) -> int:
    return sum(storage.nbytes() for storage in found.values())
