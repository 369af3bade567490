"""Updates of a scalar reward model, ours beside TRL's RewardTrainer and beside ours without sharing.

python -m performance.reward_model --device cpu
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForSequenceClassification

from performance import options as common
from performance.picture import bars
from performance.race import Side, available, phases, race, ratios
from performance.work import Job, Shape
from stablereward.policies import tiny

WARMUP = 1
LOSS_TOLERANCE, GRADIENT_TOLERANCE = 1e-5, 1e-3
MICRO_BATCHES = (1, 2, 4, 8)
"""Pairs of a forward pass of TRL's that are tried."""
PAIRS = Shape(prompt=480, completion=30, prompts=8, group=2)
SHAPES = {
    "pairs, text": PAIRS,
    "4 responses, text": replace(PAIRS, prompts=4, group=4),
    "pairs, image": replace(PAIRS, image=256),
    "4 responses, image": replace(PAIRS, prompts=4, group=4, image=256),
}


def main(given: list[str] | None = None) -> dict[str, Any]:
    parser = common.parser(__doc__.splitlines()[0])
    parser.set_defaults(steps=8)
    options = common.read(parser, given)
    with text_model() as text, common.model_folder(options) as sees:
        found = {
            name: one_shape(common.sized(shape, options), sees if shape.image else text, options)
            for name, shape in SHAPES.items()
        }
    result = {"machine": common.machine(options), "shapes": found}
    charts = {name: {side: own["step"] for side, own in one["steps"].items()} for name, one in found.items()}
    common.report(options, "reward_model", result, bars(charts))
    return result


def one_shape(shape: Shape, model: str, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of an update by side, in turn. Raises RuntimeError where the sides do not do the same."""
    job = Job(
        side="reward/shared", shape=shape, model=model, device=options.device, fresh=2 * options.steps + 6
    )
    alone, trl = replace(job, side="reward/alone"), replace(job, side="reward_trl")
    jobs = [job, alone] if shape.image or not available(["trl"]) else [job, alone, trl]
    same = require_same(jobs, shape)
    micro_batches: dict[str, float] = {}
    if trl in jobs:
        micro_batches = _micro_batches(trl)
        fastest = min(micro_batches, key=lambda size: micro_batches[size])
        jobs[-1] = replace(trl, micro_batch=int(fastest))
    [steps] = race(jobs, [(options.steps, WARMUP, {"do": "step"})], per_turn=2)
    named = {NAMES[side]: answers for side, answers in steps.items()}
    return {
        "shape": asdict(shape),
        "same": same,
        "micro_batches": micro_batches,
        "steps": {side: phases(answers) for side, answers in named.items()},
        "ratios": {side: ratios(answers, named["ours"]) for side, answers in named.items() if side != "ours"},
    }


NAMES = {"reward/shared": "ours", "reward/alone": "alone", "reward_trl": "trl"}


def require_same(jobs: list[Job], shape: Shape) -> dict[str, dict[str, float]]:
    """The distance of every side's loss and gradient from ours, on the same questions at equal weights."""
    told, gradients = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for job in jobs:
            file, name = f"{folder}/{NAMES[job.side]}", NAMES[job.side]
            with Side(job) as side:
                told[name] = side.ask(do="gradient", file=file)
            gradients[name] = load_file(file)
    lengths = {length for answer in told.values() for length in answer["lengths"]}
    if lengths != {shape.prompt + shape.completion}:
        raise RuntimeError(f"dialogues have {sorted(lengths)} tokens, the shape says {shape}")
    ours, gaps = gradients["ours"], {}
    norm = sum(float(g.square().sum()) for g in ours.values()) ** 0.5
    for name in gradients.keys() - {"ours"}:
        theirs = gradients[name]
        assert theirs.keys() == ours.keys(), f"{name} trains other parameters"
        apart = sum(float((theirs[key] - g).square().sum()) for key, g in ours.items()) ** 0.5 / norm
        gap = {"loss": abs(told[name]["loss"] - told["ours"]["loss"]), "gradient": apart}
        if gap["loss"] > LOSS_TOLERANCE or apart > GRADIENT_TOLERANCE:
            raise RuntimeError(f"{name} does not do the same: {gap}")
        gaps[name] = gap
    return gaps


def _micro_batches(job: Job) -> dict[str, float]:
    """Seconds of TRL's step by the pairs of a forward pass."""
    num_pairs = job.shape.prompts * job.shape.group * (job.shape.group - 1) // 2
    seconds = {}
    for size in sorted({min(size, num_pairs) for size in MICRO_BATCHES}):
        if num_pairs % size == 0:
            [steps] = race([replace(job, micro_batch=size, fresh=4)], [(1, 1, {"do": "step"})])
            seconds[str(size)] = steps[job.side][0]["step"]
    return seconds


@contextmanager
def text_model() -> Iterator[str]:
    """A Llama with a score head and the toy's tokenizer: four layers 256 wide, random."""
    words = tiny.train_tokenizer(tiny.toy_corpus(200))
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        bos_token_id=None,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
        num_labels=1,
    )
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        LlamaForSequenceClassification(config).save_pretrained(Path(folder))
        words.save_pretrained(folder)
        yield folder


if __name__ == "__main__":
    main()
