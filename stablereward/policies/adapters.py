"""Low-rank adapters on a token policy, and the frozen policy that training is pulled to."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from stablereward.errors import ConfigError
from stablereward.policies.completions import Answered, completions
from stablereward.policies.copies import frozen_copy
from stablereward.policies.merging import ADAPTER, adapted_layers
from stablereward.policies.policy import Score, Scored
from stablereward.policies.token import TokenPolicy

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The linear layers of the Llama and Qwen families."""


def add_lora(
    policy: TokenPolicy,
    *,
    rank: int = 16,
    alpha: int = 32,
    targets: Sequence[str] = TARGETS,
    seed: int = 0,
) -> None:
    """Freezes the policy and puts trainable adapters beside its language model's layers, in place.

    `targets` are the last parts of layer names. Adapters begin as no change (B = 0); `seed` decides A.
    See https://arxiv.org/abs/2106.09685. Raises ConfigError where no layer has such a name.
    """
    policy.requires_grad_(False)
    model = policy.model.get_decoder()
    inject(model, rank=rank, alpha=alpha, targets=targets, seed=seed)


def inject(module: nn.Module, *, rank: int, alpha: int, targets: Sequence[str], seed: int = 0) -> None:
    """Puts trainable adapters beside the layers of any module whose names end in one of `targets`.

    Raises ConfigError where no layer has such a name.
    """
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(targets))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            inject_adapter_in_model(config, module, adapter_name=ADAPTER)
        except ValueError as error:
            raise ConfigError(
                f"no layer of the model is named {' or '.join(targets)}; set targets"
            ) from error


def reference(policy: TokenPolicy, temperature: float = 1.0) -> Score:
    """Scores groups at a temperature with the policy as it is now, whatever it learns later.

    With fresh adapters that is the model without them and costs no memory; else a frozen copy is kept.
    """
    if adapted_layers(policy):
        score = completions(policy, temperature).score

        def without_adapters(groups: Sequence[Answered]) -> Scored:
            with torch.no_grad(), _adapters_off(policy):
                return score(groups)

        return without_adapters
    return torch.no_grad()(completions(frozen_copy(policy), temperature).score)


@contextmanager
def _adapters_off(policy: TokenPolicy) -> Iterator[None]:
    layers = adapted_layers(policy).values()
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)
