"""Keys and values while sampling: a prompt's are kept once, each sample adds its own.

Both caches are used alike: a prefill with `arguments`, `branch`, then for every token `grow` and a call
with `arguments`; `keep` drops samples in between.
"""

import inspect
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

from stablereward.policies.attention import CausalRows, arranged


def cache_name(model: Any) -> str:
    """What the model's forward calls its cache: `past_key_values` in older transformers."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


class PromptCache(Protocol):
    """What the engine needs of a cache. R prompts, S samples still being written."""

    def arguments(self, model: Any) -> dict[str, Any]:
        """What the next call of `model` is given."""
        ...

    def branch(self, copies: int, capacity: int) -> None:
        """After the prefill: every prompt gets so many samples of at most `capacity` tokens."""
        ...

    def grow(self) -> None:
        """Makes room for one more token of every sample."""
        ...

    def keep(self, kept_S: Tensor) -> None:
        """Goes on with these samples, given by their places in rising order."""
        ...


class SharedCache(Cache):  # type: ignore[misc]
    """For routed models: the samples of a prompt read its keys where they are.

    Samples stand in a rectangle of R prompts by W places, so that all queries of a prompt meet its keys
    in one product. Shapes: prompts [R, heads, P, head size], own tokens [R, heads, W, T, head size].
    """

    def __init__(self, lengths_R: Tensor) -> None:
        super().__init__(layers=[])
        longest = int(lengths_R.max())
        padding_RP = torch.arange(longest, device=lengths_R.device) >= lengths_R[:, None]
        self.padding_RP = padding_RP if bool(padding_RP.any()) else None
        self.prompts: list[tuple[Tensor, Tensor]] = []
        self.own: list[tuple[Tensor, Tensor]] = []
        self.rows_S = torch.arange(len(lengths_R), device=lengths_R.device)
        self.width = 1
        self.places_S: Tensor | None = None
        self.capacity = self.size = 0

    def arguments(self, model: Any) -> dict[str, Any]:
        arrangement = self if self.capacity else CausalRows()
        return {cache_name(model): self, **arranged(arrangement, self.rows_S.device)}

    def branch(self, copies: int, capacity: int) -> None:
        self.rows_S = self.rows_S.repeat_interleave(copies)
        self.width, self.capacity = copies, capacity
        for keys, values in self.prompts:
            rows, heads = keys.shape[:2]
            self.own.append(
                (
                    keys.new_empty((rows, heads, copies, capacity, keys.shape[-1])),
                    values.new_empty((rows, heads, copies, capacity, values.shape[-1])),
                )
            )

    def grow(self) -> None:
        self.size += 1

    def keep(self, kept_S: Tensor) -> None:
        before_S = kept_S if self.places_S is None else self.places_S[kept_S]
        alive_R, self.rows_S = torch.unique(self.rows_S[kept_S], return_inverse=True)
        counts_R = self.rows_S.bincount()
        num_rows, self.width = len(alive_R), int(counts_R.max())
        first_R = counts_R.cumsum(0) - counts_R
        numbers_S = torch.arange(len(kept_S), device=kept_S.device)
        places_S = self.rows_S * self.width + numbers_S - first_R[self.rows_S]
        # An empty place holds a copy of some sample, which is computed with and never looked at.
        sources = before_S[:1].repeat(num_rows * self.width).index_copy_(0, places_S, before_S)
        self.places_S = None if len(places_S) == len(sources) else places_S
        for layer, own in enumerate(self.own):
            keys, values = (self._moved(x, sources, num_rows) for x in own)
            self.own[layer] = (keys, values)
            of_keys, of_values = self.prompts[layer]
            self.prompts[layer] = (of_keys[alive_R], of_values[alive_R])
        if self.padding_RP is not None:
            self.padding_RP = self.padding_RP[alive_R]

    def _moved(self, states: Tensor, sources: Tensor, num_rows: int) -> Tensor:
        rows, places = sources // states.shape[2], sources % states.shape[2]
        moved = states.new_empty((num_rows, states.shape[1], self.width, *states.shape[3:]))
        chosen = states[:, :, :, : self.size].transpose(1, 2)[rows, places]
        moved[:, :, :, : self.size] = torch.unflatten(chosen, 0, (num_rows, self.width)).transpose(1, 2)
        return moved

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """Called by the model's layers."""
        if not self.capacity:
            self.prompts.append((key_states.contiguous(), value_states.contiguous()))
        else:
            self.write(layer_idx, key_states[:, :, 0], value_states[:, :, 0])
        return key_states, value_states

    def write(self, layer: int, keys: Tensor, values: Tensor) -> None:
        """Keeps what every sample adds in a layer, [S, heads, head size]."""
        for states, own in zip((keys, values), self.own[layer], strict=True):
            own[:, :, :, self.size - 1] = self._rectangle(states).transpose(1, 2)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """The tokens before the next, as some models ask."""
        read = self.prompts[layer_idx][0].shape[2] if len(self.prompts) > layer_idx else 0
        return read + max(self.size - 1, 0)

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float | None) -> Tensor:
        scale = query.shape[-1] ** -0.5 if scale is None else scale
        return self.read(layer, query[:, :, 0], scale)[:, None]

    def read(self, layer: int, query: Tensor, scale: float) -> Tensor:
        """One new token of every sample, [S, heads, head size], over its prompt and what it wrote, in one
        softmax."""
        (keys, values), (own_keys, own_values) = self.prompts[layer], self.own[layer]
        heads, length = keys.shape[1:3]
        own_keys, own_values = own_keys[..., : self.size, :], own_values[..., : self.size, :]
        queries = torch.unflatten(self._rectangle(query * scale), 2, (heads, -1))
        queries = queries.transpose(1, 2).contiguous()
        of_prompt = queries.flatten(2, 3) @ keys.transpose(-1, -2)
        if self.padding_RP is not None:
            of_prompt = of_prompt.masked_fill(self.padding_RP[:, None, None], float("-inf"))
        of_own = queries @ own_keys.transpose(-1, -2)
        scores = torch.cat([of_prompt.view(*queries.shape[:-1], length), of_own], dim=-1)
        shares = scores.softmax(-1, dtype=torch.float32).to(values.dtype)
        out = (shares[..., :length].flatten(2, 3) @ values).view(*queries.shape[:-1], -1)
        out = (out + shares[..., length:] @ own_values).transpose(1, 2).flatten(0, 1).flatten(1, 2)
        return out if self.places_S is None else out[self.places_S]

    def _rectangle(self, states_S: Tensor) -> Tensor:
        """[R, W, …] of what there is for every sample."""
        if self.places_S is not None:
            size = len(self.prompts[0][0]) * self.width
            whole = states_S.new_zeros((size, *states_S.shape[1:]))
            states_S = whole.index_copy_(0, self.places_S, states_S)
        return torch.unflatten(states_S, 0, (-1, self.width))


class CopiedCache:
    """For all other models: the cache of transformers, where every sample holds a copy of its prompt."""

    def __init__(self, lengths_R: Tensor, config: Any) -> None:
        self.cache = DynamicCache(config=config)
        places = torch.arange(int(lengths_R.max()), device=lengths_R.device)
        self.visible_SL = (places < lengths_R[:, None]).long()

    def arguments(self, model: Any) -> dict[str, Any]:
        return {cache_name(model): self.cache, "attention_mask": self.visible_SL}

    def branch(self, copies: int, capacity: int) -> None:
        self.cache.batch_repeat_interleave(copies)
        self.visible_SL = self.visible_SL.repeat_interleave(copies, dim=0)

    def grow(self) -> None:
        ones = self.visible_SL.new_ones((len(self.visible_SL), 1))
        self.visible_SL = torch.cat([self.visible_SL, ones], dim=1)

    def keep(self, kept_S: Tensor) -> None:
        self.cache.batch_select_indices(kept_S)
        self.visible_SL = self.visible_SL[kept_S]
