"""How much memory a step takes, found by taking it on shapes alone.

A model on the meta device has shapes and no numbers. Run forward and backward there, it makes exactly the
tensors that the real one makes, and their bytes are counted as they come and go.
"""

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

_HALVED = {functional.linear, functional.conv2d, functional.conv3d, torch.matmul, torch.bmm}
_HALVED |= {Tensor.__matmul__, Tensor.matmul}
"""What autocast computes in bfloat16, as far as these models use it."""
_WHOLE = {functional.layer_norm, functional.group_norm}
"""What it computes in float32 on a GPU, though given bfloat16."""


class Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of the meta tensors that were made within: `now` and at their `peak`."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self._storages: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        given = {storage._cdata for storage in _storages((args, kwargs))}
        for storage in _storages(made):
            # A view, of a weight for example, is nothing new.
            if storage._cdata not in given and storage._cdata not in self._storages:
                self._hold(storage)
        return made

    def _hold(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()

        def gone(_: object) -> None:
            del self._storages[key]
            self.now -= size

        self._storages[key] = weakref.ref(storage, gone)
        self.now += size
        self.peak = max(self.peak, self.now)


def _storages(tree: Any) -> list[torch.UntypedStorage]:
    return [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor) and leaf.is_meta]


class Fused(TorchFunctionMode):
    """Attention as a fused kernel does it, which never makes a [tokens, tokens] matrix; with `halved` matrix
    products as under autocast to bfloat16, a weight's copy kept until `forget` is called.
    """

    def __init__(self, *, halved: bool) -> None:
        super().__init__()
        self.halved = halved
        self._copies: dict[int, Tensor] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        attention = func is functional.scaled_dot_product_attention
        if self.halved and (attention or func in _HALVED):
            args, kwargs = tree_map(self._half, (args, kwargs))
        if self.halved and func in _WHOLE:
            args, kwargs = tree_map(_full, (args, kwargs))
        if not attention:
            return func(*args, **kwargs)
        return _Attention.apply(*args[:3], kwargs.get("attn_mask"))  # type: ignore[no-untyped-call]

    def forget(self) -> int:
        """Lets go of the copies and returns their bytes."""
        kept = sum(copy.nbytes for copy in self._copies.values())
        self._copies.clear()
        return kept

    def _half(self, value: Any) -> Any:
        if not isinstance(value, Tensor) or value.dtype != torch.float32:
            return value
        if not (isinstance(value, nn.Parameter) and value.requires_grad):
            return value.to(torch.bfloat16)
        if id(value) not in self._copies:
            self._copies[id(value)] = value.to(torch.bfloat16)
        return self._copies[id(value)]


def _full(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype == torch.bfloat16 else value


class _Attention(torch.autograd.Function):
    """The tensors of a fused attention kernel: it keeps what it was given, with the mask as numbers, its
    result, heads beside each other, and one number a row."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        *batch, heads, length, _ = query.shape
        out = query.new_empty((*batch, length, heads, value.shape[-1])).transpose(-3, -2)
        sums = query.new_empty(query.shape[:-1], dtype=torch.float32)
        ctx.save_for_backward(query, key, value, out, sums, None if mask is None else mask.to(query.dtype))
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return (*(torch.empty_like(given) for given in ctx.saved_tensors[:3]), None)


class Peak(NamedTuple):
    """Bytes at the peak of a pass, and how many of them are kept copies of weights in bfloat16."""

    bytes: int
    copies: int


def peak(forward: Callable[[], Tensor], *, halved: bool, backward: bool) -> Peak:
    """Takes a forward pass over meta tensors and, if asked, its backward pass.

    With `halved` matrix products are under autocast, as on a GPU (see `TokenPolicy.precision`). What
    checkpointing computes again in the backward pass is left as it is: it needs a `Fused` of its own.
    """
    live, fused = Live(), Fused(halved=halved)
    with live, torch.set_grad_enabled(backward):
        with fused:
            result = forward().sum()
        copies = fused.forget()
        if backward:
            result.backward()  # type: ignore[no-untyped-call]
    return Peak(live.peak, copies)
