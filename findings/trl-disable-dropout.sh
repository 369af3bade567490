#!/usr/bin/env bash
# TRL: disable_dropout=True leaves the attention dropout of Llama models, and of those built like them, on.
#
# trl sets p = 0 in modules of the class Dropout. In today's transformers the attention dropout of a decoder is
# a number that its layer hands to the attention function in training, and no module. A policy whose config says
# attention_dropout is still trained with it, so that ratios and KL terms are noise. Exits 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "trl==1.16.0" "transformers==5.24.0" "torch>=2.8,<2.14"
"$folder/venv/bin/python" - <<'PYTHON'
import torch
import transformers
import trl
from transformers import LlamaConfig, LlamaForCausalLM
from trl.trainer.utils import disable_dropout_in_model

print(f"trl {trl.__version__}, transformers {transformers.__version__}, torch {torch.__version__}")
torch.manual_seed(0)
sizes = {"vocab_size": 64, "hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 4}
model = LlamaForCausalLM(LlamaConfig(**sizes, num_attention_heads=4, attention_dropout=0.1, initializer_range=0.2))
disable_dropout_in_model(model)
ids = torch.arange(32)[None]


def logprobs(model):
    with torch.no_grad():
        return model(ids).logits.log_softmax(-1)[0, :-1].gather(-1, ids[0, 1:, None])[:, 0]


model.eval()
sampled = logprobs(model)
model.train()
gap = float((logprobs(model) - sampled).abs().max())
print(f"after disable_dropout_in_model, training against evaluation: largest log-probability gap {gap:.3f} nats")
assert gap > 0.01, "attention dropout is off now: the finding is outdated"
for module in model.modules():
    if hasattr(module, "attention_dropout"):
        module.attention_dropout = 0.0
gap = float((logprobs(model) - sampled).abs().max())
print(f"with attention_dropout = 0 in every layer: {gap:.6f} nats")
assert gap < 1e-5
PYTHON
