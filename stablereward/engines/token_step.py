"""One more token of every sample, with little between the matrix products.

A forward of transformers spends most of a small step outside them: it asks for masks, positions and
settings at every call. Here a decoder of the Llama kind (Llama, Qwen2, Qwen3, Mistral and the language
models inside Qwen-VL and LLaVA) is called by its weights, in the type that is computed in and with adapters
folded in. Whether a model is of that kind is not taken from its name: it is, where the step says what the
model says.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, rms_norm

from stablereward.engines.prompt_cache import SharedCache
from stablereward.policies.attention import CausalRows, arranged
from stablereward.policies.merging import adapted_layers, merged_weight
from stablereward.policies.token import TokenPolicy

JOINED_BYTES = 2**26
"""Weights of up to this size are copied so that what reads one input is one product."""
TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Of the largest state, by the type that is computed in."""
_PROJECTIONS = {"q_proj", "k_proj", "v_proj", "o_proj"}
_MAYBE_IN_ATTENTION = {"q_norm", "k_norm", "rotary_emb", "rotary_fn"}
_GATES = {"gate_proj", "up_proj", "down_proj"}
_PARTS = {"self_attn", "mlp", "input_layernorm", "post_attention_layernorm"}


class TokenStep:
    """The step of a policy as its weights now are; made anew for every generation.

    `longest` is one more than the largest position that will be asked for, `num_axes` the number of
    rotary axes. Only for models that `looks_like_llama` and `agrees` accept.
    """

    def __init__(self, policy: TokenPolicy, num_axes: int, longest: int) -> None:
        text, self.dtype = policy.model.get_decoder(), policy.compute_dtype
        self.embed, self.norm = text.embed_tokens, text.norm
        copied = self.embed.weight.dtype != self.dtype or bool(adapted_layers(text))
        joined = copied or sum(p.nbytes for p in text.layers.parameters()) <= JOINED_BYTES
        self.layers = [_Layer(layer, self.dtype, joined) for layer in text.layers]
        places = torch.arange(longest, device=policy.device)[None]
        places = places.expand(num_axes, -1, -1) if num_axes > 1 else places
        cos, sin = text.rotary_emb(self.embed.weight[:1], places)
        self.half = cos.shape[-1] // 2
        # rotate_half(x) · sin is (x with its halves exchanged) · (sin with a negative first half).
        sin = torch.cat([-sin[..., : self.half], sin[..., self.half :]], dim=-1)
        # Older versions of transformers give each axis a table of its own; for text they are all the same.
        self.cos_N1H, self.sin_N1H = (x.flatten(0, -3)[0, :, None].to(self.dtype) for x in (cos, sin))

    def __call__(self, tokens_S: Tensor, positions_S: Tensor, cache: SharedCache) -> Tensor:
        """The states [S, D] from which the tokens after these are drawn. `cache` has grown by one."""
        cos_S1H, sin_S1H = self.cos_N1H[positions_S], self.sin_N1H[positions_S]
        states_SD = self.embed(tokens_S)
        for number, layer in enumerate(self.layers):
            turned, values = layer.heads(_normed(states_SD, layer.before).to(self.dtype))
            turned = torch.addcmul(turned * cos_S1H, turned.roll(self.half, -1), sin_S1H)
            num_queries = turned.shape[1] - values.shape[1]
            cache.write(number, turned[:, num_queries:], values)
            seen = cache.read(number, turned[:, :num_queries], layer.scale)
            states_SD = states_SD + linear(seen.flatten(1), *layer.out)
            states_SD = states_SD + layer.mlp(_normed(states_SD, layer.after).to(self.dtype))
        return _normed(states_SD, self.norm)


class _Layer:
    """A layer's weights, as pairs of weight and bias."""

    def __init__(self, layer: Any, dtype: torch.dtype, joined: bool) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        self.before, self.after = layer.input_layernorm, layer.post_attention_layernorm
        self.head_norms = (attention.q_norm, attention.k_norm) if hasattr(attention, "q_norm") else None
        self.size, self.scale, self.act = attention.head_dim, attention.scaling, mlp.act_fn
        self.num_values = attention.v_proj.out_features // self.size
        self.inside = _weights([attention.q_proj, attention.k_proj, attention.v_proj], dtype, joined)
        [self.out] = _weights([attention.o_proj], dtype, joined)
        self.gates = _weights([mlp.gate_proj, mlp.up_proj], dtype, joined)
        [self.down] = _weights([mlp.down_proj], dtype, joined)

    def heads(self, states_SD: Tensor) -> tuple[Tensor, Tensor]:
        """Queries followed by keys [S, query and key heads, head size], and values."""
        made = torch.unflatten(_product(states_SD, self.inside), 1, (-1, self.size))
        turned, values = made[:, : -self.num_values], made[:, -self.num_values :]
        if self.head_norms is not None:
            parts = turned[:, : -self.num_values], turned[:, -self.num_values :]
            turned = torch.cat([_normed(x, n) for x, n in zip(parts, self.head_norms, strict=True)], dim=1)
            turned = turned.to(states_SD.dtype)
        return turned, values

    def mlp(self, states_SD: Tensor) -> Tensor:
        gate, up = _product(states_SD, self.gates).chunk(2, dim=-1)
        return linear(self.act(gate).mul_(up), *self.down)


def _normed(states: Tensor, norm: Any) -> Tensor:
    """RMSNorm in the type of its weight."""
    return rms_norm(states.to(norm.weight.dtype), states.shape[-1:], norm.weight, norm.variance_epsilon)


def _product(states_SD: Tensor, weights: list[tuple[Tensor, Tensor | None]]) -> Tensor:
    made = [linear(states_SD, *weight) for weight in weights]
    return made[0] if len(made) == 1 else torch.cat(made, dim=-1)


def _weights(parts: list[Any], dtype: torch.dtype, joined: bool) -> list[tuple[Tensor, Tensor | None]]:
    """Those of linear layers that read the same input, one pair for each or, joined, one for all."""
    weights = [merged_weight(part).to(dtype) for part in parts]
    biases = [None if part.bias is None else part.bias.to(dtype) for part in parts]
    if not joined or len(parts) == 1:
        return list(zip(weights, biases, strict=True))
    if any(bias is not None for bias in biases):
        zeros = [w.new_zeros(len(w)) if b is None else b for w, b in zip(weights, biases, strict=True)]
        return [(torch.cat(weights), torch.cat(zeros))]
    return [(torch.cat(weights), None)]


def looks_like_llama(text: Any) -> bool:
    """Whether a decoder has the modules that a step calls by their weights, and no others."""
    return (
        _has(text, {"embed_tokens", "layers", "norm", "rotary_emb"})
        and type(text.embed_tokens) is nn.Embedding
        and all(
            _has(layer, _PARTS)
            and _has(layer.self_attn, _PROJECTIONS, _MAYBE_IN_ATTENTION)
            and _has(layer.mlp, _GATES, {"act_fn"})
            and hasattr(layer.input_layernorm, "variance_epsilon")
            for layer in text.layers
        )
    )


def _has(module: Any, needed: set[str], allowed: Iterable[str] = ()) -> bool:
    names = {name for name, _ in module.named_children()}
    return needed <= names <= needed | set(allowed)


@torch.no_grad()
def agrees(policy: TokenPolicy, num_axes: int) -> bool:
    """Whether a step says what the policy's model says, tried on the fourth of four tokens."""
    vocabulary = len(policy.model.get_input_embeddings().weight)
    ids = [n for n in range(vocabulary) if n not in policy.suppressed][-4:]
    tokens_1P, places_1P = (torch.tensor([x], device=policy.device) for x in (ids, range(4)))
    places = places_1P.expand(num_axes, -1, -1) if num_axes > 1 else places_1P
    cache = SharedCache(torch.tensor([3], device=policy.device))
    whole = policy.model.model(
        input_ids=tokens_1P, position_ids=places, use_cache=False, **arranged(CausalRows(), policy.device)
    )
    policy.model.model(
        input_ids=tokens_1P[:, :3],
        position_ids=places[..., :3],
        use_cache=True,
        **cache.arguments(policy.model.model),
    )
    cache.branch(1, 1)
    cache.grow()
    step = TokenStep(policy, num_axes, 4)
    if 2 * step.half != step.layers[0].size:  # only a part of a head is turned
        return False
    expected_1D = whole.last_hidden_state[:, 3].float()
    gap = (step(tokens_1P[:, 3], places_1P[:, 3], cache).float() - expected_1D).abs().max()
    return bool(gap <= TOLERANCE[policy.compute_dtype] * expected_1D.abs().max())
