#!/usr/bin/env bash
# `transformers serve` 5.24.0 answers greedily at any temperature where the model's generation config does not say
# `do_sample`: requests at temperature 1 and 5 with other seeds bring one and the same text.
#
# The temperature of a request is written into the generation config, but `do_sample` is only ever switched off (at
# temperature 0), never on. Its default is false, and a model folder that says nothing keeps it. Whoever votes over
# K samples, or measures pass@K, counts one greedy text K times. With `"do_sample": true` in the folder's
# generation_config.json the same requests bring other texts. Ends with 0 while this is so.
set -euo pipefail
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 "transformers[serving]==5.24.0"
export HF_HUB_OFFLINE=1 NO_PROXY=127.0.0.1

cat >"$work/make.py" <<'PY'
import json
import pathlib
import sys

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

torch.manual_seed(0)
letters = sorted(pre_tokenizers.ByteLevel.alphabet())
words = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(["<end>", *letters])}, merges=[]))
words.pre_tokenizer, words.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>")
tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
config = LlamaConfig(
    vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    initializer_range=0.5, bos_token_id=None, eos_token_id=0,
)
for name in ("unsaid", "sampling"):
    folder = pathlib.Path(sys.argv[1], name)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    file = folder / "generation_config.json"
    settings = json.loads(file.read_text())
    assert "do_sample" not in settings
    if name == "sampling":
        file.write_text(json.dumps(settings | {"do_sample": True}))
PY

cat >"$work/ask.py" <<'PY'
import json
import sys
import time
from importlib.metadata import version
from urllib.error import URLError
from urllib.request import Request, urlopen

url, model = sys.argv[1], sys.argv[2]


def answer(seed: int, temperature: float) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": "Which is better?"}]}
    body |= {"temperature": temperature, "seed": seed, "max_tokens": 24}
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    for _ in range(120):
        try:
            with urlopen(request, timeout=60) as reply:
                return json.load(reply)["choices"][0]["message"]["content"]
        except URLError:
            time.sleep(1)
    sys.exit("the server does not come up")


greedy = answer(0, 0.0)
for temperature in (1.0, 5.0):
    texts = [answer(seed, temperature) for seed in range(4)]
    print(f"transformers {version('transformers')}, {model.rpartition('/')[2]}, temperature {temperature:g}: "
          f"{len(set(texts))} texts of 4, {sum(text == greedy for text in texts)} of them greedy", flush=True)
    one_text = set(texts) == {greedy}
    sys.exit("changed") if one_text != (model.endswith("unsaid")) else None
PY

"$work/env/bin/python" "$work/make.py" "$work" 2>/dev/null
for name in unsaid sampling; do
    port=$("$work/env/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    "$work/env/bin/transformers" serve "$work/$name" --host 127.0.0.1 --port "$port" --device cpu >"$work/log" 2>&1 &
    server=$!
    "$work/env/bin/python" "$work/ask.py" "http://127.0.0.1:$port/v1/chat/completions" "$work/$name"
    kill "$server"
    wait "$server" 2>/dev/null || true
    server=
done
