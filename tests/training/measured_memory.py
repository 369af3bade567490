"""A process that samples and updates once and prints by how many bytes it grew.

`python measured_memory.py FOLDER '{"checkpointing": false, "token_budget": 4096}'`. Linux only.
"""

import ctypes
import gc
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from stablereward.data.prompts import r1_reward
from stablereward.data.toy.pairs import pairs
from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.objectives.named import stable_reinforce
from stablereward.policies import tiny
from stablereward.policies.checkpointing import checkpoint_layers
from stablereward.policies.completions import completions
from stablereward.policies.shipped import model_folder
from stablereward.policies.token import TokenPolicy
from stablereward.recipes.completions import completion_collector
from stablereward.rewards.reward import Sample
from stablereward.training.fit import fit
from stablereward.training.optim import OptimConfig, adamw
from stablereward.training.policy_gradient import RLConfig, Share, policy_loss
from stablereward.types import Prompt, Reward

PROMPTS, GROUP, COMPLETION = 4, 8, 24
VOCABULARY = 8192


def shown() -> list[Prompt]:
    return [r1_reward(pair.preference()) for pair in pairs(2 * PROMPTS, seed=3)]


def create(folder: Path) -> None:
    """A random Qwen2.5-VL of 16 million parameters with the toy model's tokenizer and processor."""
    tokenizer = TokenPolicy.load("toy-base").tokenizer
    config = tiny.qwen2_5_vl(tokenizer).config.to_dict()
    config["text_config"] |= {
        "vocab_size": VOCABULARY,
        "hidden_size": 384,
        "intermediate_size": 1056,
        "num_hidden_layers": 6,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "layer_types": ["full_attention"] * 6,
    }
    config["text_config"]["rope_parameters"]["mrope_section"] = [6, 9, 9]
    config["vision_config"] |= {"hidden_size": 256, "intermediate_size": 704, "depth": 4, "num_heads": 4}
    config["vision_config"] |= {"out_hidden_size": 384, "fullatt_block_indexes": [1, 3]}
    torch.manual_seed(0)
    model = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig.from_dict(config))
    model.generation_config.eos_token_id = [tokenizer.eos_token_id]
    model.save_pretrained(folder)
    for path in model_folder("toy-base").iterdir():
        if path.name not in ("config.json", "generation_config.json", "model.safetensors"):
            (folder / path.name).write_bytes(path.read_bytes())


class Growth:
    """The largest resident size since `start`, above that at `start`."""

    def start(self) -> None:
        gc.collect()
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        self.before = _status("VmRSS")

    def stop(self) -> int:
        return _status("VmHWM") - self.before


def _status(name: str) -> int:
    [line] = [ln for ln in Path("/proc/self/status").read_text().splitlines() if ln.startswith(name)]
    return int(line.split()[1]) * 1024


def measured(folder: Path, *, checkpointing: bool, token_budget: int) -> dict[str, int]:
    policy = TokenPolicy.load(folder, device="cpu")
    policy.stop_ids = [-1]
    if checkpointing:
        checkpoint_layers(policy.model)
    growth = Growth()
    config = RLConfig(
        num_updates=2,
        prompts_per_batch=PROMPTS,
        num_generations=GROUP,
        updates_per_batch=1,
        max_completion_length=COMPLETION,
        token_budget=token_budget,
    )
    objective = stable_reinforce()
    collector = completion_collector(policy, HFEngine(policy), _reward, objective, config)
    drawn = collector.batches(shown(), seed=0)

    def batches() -> Iterator[list[Share]]:
        yield next(drawn)  # AdamW's moments come with the first update
        growth.start()
        yield next(drawn)

    policy.train()
    updates = fit(
        policy.parameters(),
        batches(),
        lambda share: policy_loss(completions(policy).score, objective, share),
        optimizer=adamw(policy.parameters(), OptimConfig()),
        learning_rate=lambda update: 1e-6,
    )
    assert len(list(updates)) == 2
    return {"step": growth.stop()}


def sampled(folder: Path, *, group: int, completion: int) -> dict[str, int]:
    policy = TokenPolicy.load(folder, device="cpu")
    policy.stop_ids = [-1]
    engine, growth, prompts = HFEngine(policy), Growth(), shown()[:PROMPTS]
    engine.sample(prompts, Sampling(num_generations=2, max_completion_length=2))
    growth.start()
    engine.sample(prompts, Sampling(num_generations=group, max_completion_length=completion))
    return {"sampling": growth.stop()}


def _reward(sample: Sample) -> Reward:
    return Reward(value=sum(sample.completion.token_ids) % 7 / 7)


def main() -> None:
    asked: dict[str, Any] = json.loads(sys.argv[2])
    take = sampled if "group" in asked else measured
    print(json.dumps(take(Path(sys.argv[1]), **asked)))


if __name__ == "__main__":
    main()
