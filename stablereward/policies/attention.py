"""Attention in which the samples of a prompt share its keys and values.

A language model that takes its attention function from transformers is routed through `attend`. Linear
layers see packed rows as before; only attention knows who belongs to whom. An arrangement says so: it
travels through the model as the keyword `arrangement`, and without one attention is the ordinary kind.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from stablereward.errors import ModelError
from stablereward.policies.tree import Tree

ROUTED = "stablereward"
"""The name under which transformers finds `attend`."""


class Arrangement(Protocol):
    """Who attends to whom. Shapes are those of transformers: [rows, heads, tokens, head size].

    There are H query heads to every head of keys and values; the result is [rows, tokens, heads, head size].
    """

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float | None
    ) -> Tensor: ...


def route(model: Any) -> bool:
    """Routes the language model's attention here and says whether that can be done.

    It can where the model says that its attention is exchangeable and ordinary: every keyword reaches
    it, and the kernel for plain softmax attention is right for it. What is saved does not change.
    """
    text = model.config.get_text_config()
    ordinary = (
        model._supports_attention_backend
        and text._attn_implementation in ("sdpa", ROUTED)
        and not text.sub_configs
        and getattr(text, "attn_logit_softcapping", None) is None
    )
    if ordinary:
        AttentionInterface.register(ROUTED, attend)
        AttentionMaskInterface.register(ROUTED, sdpa_mask)
        text._attn_implementation = ROUTED
    return bool(ordinary)


def arranged(arrangement: Arrangement, device: torch.device) -> dict[str, Any]:
    """The arguments with which a routed model attends by the arrangement.

    A mask of four dimensions keeps transformers from making one at every call; it masks nothing.
    """
    return {"arrangement": arrangement, "attention_mask": torch.zeros((1, 1, 1, 1), device=device)}


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    arrangement: Arrangement | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention as transformers calls it. Raises ModelError where a layer lost the arrangement."""
    if arrangement is not None:
        return arrangement.attend(module.layer_idx, query, key, value, scaling), None
    if attention_mask is not None and attention_mask.shape[-1] < key.shape[2]:
        raise ModelError(
            f"{type(module).__name__} is not told how samples share a prompt; serve the model over HTTP"
        )
    plain: tuple[Tensor, None] = sdpa_attention_forward(
        module, query, key, value, attention_mask, scaling=scaling, **others
    )
    return plain


@dataclass(frozen=True, slots=True, kw_only=True)
class CausalRows:
    """Every row on its own, padded at its end: what is real never sees padding."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float | None) -> Tensor:
        return _causal(query, key, value, scale).transpose(1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeRows:
    """Rows of a `Tree`: prompts over themselves, and every completion over its prompt and itself.

    Completions are picked from the rows as [B, T] beside their prompts' keys [B, P] and put back after.
    Nothing of size [row, row] is made: a completion of T tokens costs T x (P + T).
    """

    longest_prompt: int
    own_N: Tensor
    """Where in the flattened rows the tokens of completions lie, as B x T."""
    seen_N: Tensor
    """The same of what they see, as B x (P + T)."""
    visible_BTS: Tensor
    """[B or 1, T, P + T], one for all where the prompts are of one length."""
    origins_N: Tensor
    """Where each token of the rows is found in the prompts' results followed by the completions'."""

    @classmethod
    def of(cls, tree: Tree) -> "TreeRows":
        num_rows, length = tree.input_ids_RL.shape
        device = tree.input_ids_RL.device
        rows_B, last_of_prompt_B = tree.sources_BT[:, 0] // length, tree.sources_BT[:, 0] % length
        shortest, longest_prompt = (int(n) + 1 for n in last_of_prompt_B.aminmax())
        own_BT, real_BT = tree.sources_BT[:, 1:], tree.mask_BT[:, 1:]
        num_samples, longest = own_BT.shape
        places_P = torch.arange(longest_prompt, device=device)
        prompt_BP = rows_B[:, None] * length + places_P
        of_prompt_BP = places_P <= last_of_prompt_B[:, None]
        if shortest == longest_prompt:
            of_prompt_BP = of_prompt_BP[:1]
        shape = (len(of_prompt_BP), longest, longest)
        causal_TT = torch.ones(shape[1:], dtype=torch.bool, device=device).tril()
        visible_BTS = torch.cat(
            [of_prompt_BP[:, None].expand(-1, longest, -1), causal_TT.expand(shape)], dim=2
        )
        origins_RL = torch.zeros((num_rows, length), dtype=torch.long, device=device)
        origins_RL[:, :longest_prompt] = torch.arange(num_rows * longest_prompt, device=device).view(
            num_rows, -1
        )
        origins_N = origins_RL.flatten()
        numbers_BT = torch.arange(num_samples * longest, device=device).view(own_BT.shape)
        origins_N[own_BT[real_BT]] = num_rows * longest_prompt + numbers_BT[real_BT]
        return cls(
            longest_prompt=longest_prompt,
            own_N=own_BT.flatten(),
            seen_N=torch.cat([prompt_BP, own_BT], dim=1).flatten(),
            visible_BTS=visible_BTS,
            origins_N=origins_N,
        )

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float | None) -> Tensor:
        prompts = slice(0, self.longest_prompt)
        of_prompts = _causal(query[:, :, prompts], key[:, :, prompts], value[:, :, prompts], scale)
        of_prompts = of_prompts.transpose(1, 2)
        if not self.own_N.numel():
            return of_prompts
        _, longest, seen = self.visible_BTS.shape
        # The query heads of one key head stand below each other, so that keys need no copies.
        shared = query.shape[1] // key.shape[1]
        own = torch.unflatten(_pick(query, self.own_N), 0, (-1, longest))
        own = torch.unflatten(own, 2, (-1, shared)).permute(0, 2, 3, 1, 4).flatten(2, 3)
        keys, values = (
            torch.unflatten(_pick(x, self.seen_N), 0, (-1, seen)).transpose(1, 2) for x in (key, value)
        )
        out = scaled_dot_product_attention(
            own, keys, values, attn_mask=self.visible_BTS.repeat(1, shared, 1)[:, None], scale=scale
        )
        out = torch.unflatten(out, 2, (shared, longest)).permute(0, 3, 1, 2, 4).flatten(2, 3)
        both = torch.cat([of_prompts.flatten(0, 1), out.flatten(0, 1)])
        return torch.unflatten(both.index_select(0, self.origins_N), 0, (query.shape[0], -1))


def arrangement_of(tree: Tree) -> Arrangement:
    """A row with one completion is an ordinary causal row; others need the tree."""
    return CausalRows() if len(tree.mask_BT) == len(tree.input_ids_RL) else TreeRows.of(tree)


def _causal(query: Tensor, key: Tensor, value: Tensor, scale: float | None) -> Tensor:
    shared = query.shape[1] > key.shape[1]
    return scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale, enable_gqa=shared)


def _pick(states: Tensor, places_N: Tensor) -> Tensor:
    """[N, heads, head size] of states [rows, heads, tokens, head size]."""
    flat = states.transpose(1, 2).flatten(0, 1)
    return torch.unflatten(flat.flatten(1).index_select(0, places_N), 1, flat.shape[1:])
