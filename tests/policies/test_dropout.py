"""Nothing random stands between what is sampled and what is trained."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import FalconConfig, FalconForCausalLM, GPT2Config, GPT2LMHeadModel

from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.policies.dropout import without_dropout
from stablereward.policies.token import TokenPolicy
from stablereward.policies.tree import EncodedGroup
from stablereward.types import Failure
from tests.policies.families import ALL, make, prompts


def noisy(family: str, folder: Path, rate: float = 0.1) -> TokenPolicy:
    """The tiny model with every dropout that its configs know."""
    policy = make(family, folder)
    for module in policy.model.modules():
        config = getattr(module, "config", None)
        for name in vars(config) if config is not None else ():
            if "dropout" in name:
                setattr(config, name, rate)
    policy.model.save_pretrained(folder)
    return TokenPolicy.load(folder, device="cpu")


@pytest.mark.parametrize("family", ALL)
def test_training_scores_what_the_engine_sampled(family: str, tmp_path: Path) -> None:
    policy = noisy(family, tmp_path)
    assert policy.notes() == ["its dropout is off"] and policy.shares_prompts
    answers = HFEngine(policy).sample(prompts(policy), Sampling(num_generations=2, max_completion_length=8))
    policy.train()
    for prompt, answer in zip(prompts(policy), answers, strict=True):
        assert not isinstance(answer, Failure)
        group = EncodedGroup(prompt=policy.encode(prompt), completions=tuple(c.token_ids for c in answer))
        with torch.no_grad():
            scored_BT = policy(policy.tree([group])).logprobs_BT
        for row, completion in enumerate(answer):
            told_T = torch.tensor(completion.logprobs)
            torch.testing.assert_close(scored_BT[row, : len(told_T)], told_T, atol=1e-5, rtol=1e-5)


SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 64}


@pytest.mark.parametrize(
    "make_model",
    [
        # Modules of their own, and rates that a layer reads in the config when it is called.
        lambda: GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=64)),
        lambda: FalconForCausalLM(FalconConfig(**SMALL, hidden_dropout=0.1, attention_dropout=0.1)),
    ],
)
def test_every_kind_of_dropout_is_found(make_model: Any) -> None:
    model = make_model().train()
    ids = torch.arange(8)[None]
    with torch.no_grad():
        assert not torch.equal(model(ids).logits, model(ids).logits)
        assert without_dropout(model)
        assert torch.equal(model(ids).logits, model(ids).logits)
    assert not without_dropout(model)
