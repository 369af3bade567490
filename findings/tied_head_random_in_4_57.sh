#!/usr/bin/env bash
# A tied Qwen2.5-VL that transformers 5.24.0 saves gets a random output layer in transformers 4.57.6.
#
# Release 5 ties by the upper `tie_word_embeddings` and writes no other; release 4 reads the one in `text_config`,
# whose default is false. The output weights are not in the file, because they are tied, so they are drawn anew:
# every load gives another model. Setting the word in `text_config` as well makes both load the same weights.
# (The folder also loses its rotary settings in release 4; they are written here in its spelling, to see the
# output layer alone.) Ends with 0 while this is so.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet torch==2.13.0 transformers==5.24.0

cat >"$work/save.py" <<'PY'
import json
import pathlib
import sys
import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

torch.manual_seed(0)
config = Qwen2_5_VLConfig(
    text_config=dict(
        vocab_size=128, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, initializer_range=0.1, bos_token_id=None, eos_token_id=1,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 3, 3]},
    ),
    vision_config=dict(depth=1, hidden_size=32, intermediate_size=64, num_heads=2, out_hidden_size=64,
                       fullatt_block_indexes=[0]),
    image_token_id=2, video_token_id=3, vision_start_token_id=4, vision_end_token_id=5,
    tie_word_embeddings=True,
)
model = Qwen2_5_VLForConditionalGeneration(config).eval()
torch.save(model(torch.arange(6, 106)[None]).logits.log_softmax(-1).detach(), sys.argv[1] + "/expected.pt")
model.save_pretrained(sys.argv[1] + "/model")
path = pathlib.Path(sys.argv[1], "model/config.json")
settings = json.loads(path.read_text())
print("text_config of the saved folder says tie_word_embeddings:", settings["text_config"].get("tie_word_embeddings"))
settings["text_config"].update(rope_theta=1e6, rope_scaling={"rope_type": "default", "mrope_section": [2, 3, 3]})
path.write_text(json.dumps(settings))
PY
cat >"$work/load.py" <<'PY'
import json
import pathlib
import sys
import torch
import transformers
from transformers import Qwen2_5_VLForConditionalGeneration as Model

transformers.logging.set_verbosity_error()
old = transformers.__version__ == "4.57.6"


def off() -> tuple[list[str], float]:
    model, found = Model.from_pretrained(sys.argv[1] + "/model", output_loading_info=True)
    said = model.eval()(torch.arange(6, 106)[None]).logits.log_softmax(-1)
    return list(found["missing_keys"]), (said - torch.load(sys.argv[1] + "/expected.pt")).abs().max().item()


missing, difference = off()
print(f"transformers {transformers.__version__}: missing keys {missing}; log-probabilities off by {difference:.3f}")
as_seen = (missing == ["lm_head.weight"] and difference > 0.1) if old else difference < 1e-5
if old:
    path = pathlib.Path(sys.argv[1], "model/config.json")
    settings = json.loads(path.read_text())
    settings["text_config"]["tie_word_embeddings"] = True
    path.write_text(json.dumps(settings))
    missing, difference = off()
    print(f"  with the word in text_config too: missing keys {missing}; off by {difference:.1e}")
    as_seen = as_seen and not missing and difference < 1e-5
sys.exit(0 if as_seen else 1)
PY

"$work/env/bin/python" "$work/save.py" "$work"
"$work/env/bin/python" "$work/load.py" "$work"
"$work/env/bin/pip" install --quiet transformers==4.57.6
"$work/env/bin/python" "$work/load.py" "$work"
