"""What a stage needs: by hand, by laws, and against a process that does it."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import measured_memory
import pytest
from transformers import LlamaConfig

from stablereward.data.prompts import r1_reward
from stablereward.data.toy.pairs import pairs
from stablereward.errors import ModelError
from stablereward.policies.token import TokenPolicy
from stablereward.training.outline import read_config
from stablereward.training.planning import (
    Drawing,
    Length,
    Needs,
    Shapes,
    Update,
    Work,
    longest,
    needs,
    rows_of,
    without_weights,
)

SHORT = Length(100, 0)
UPDATE = Update(prompts=8, group=4, completion=50, token_budget=600)
DRAWING = Drawing(group=4, completion=50, prompts=8)
RL = Work(name="rl", update=UPDATE, drawing=DRAWING)
WITHIN = (0.7, 1.4)
"""The estimate's share of what is measured."""


@pytest.fixture(scope="module")
def llama() -> Shapes:
    small = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 4}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    return Shapes(LlamaConfig(vocab_size=1000, max_position_embeddings=4096, **small, **heads))


def test_the_peak_by_hand() -> None:
    found = Needs(
        name="rl",
        weights=100,
        reference=50,
        moments=200,
        gradients=100,
        copy=20,
        cache=7,
        scratch=3,
        activations=40,
        step=90,
    )
    assert found.peak == 350 + 100 + 90
    assert replace(found, activations=80).peak == 350 + 100 + 80 + 20
    assert replace(found, cache=300).peak == 350 + 300 + 3 + 20
    assert replace(found, copy=0, add_up=True).peak == 350 + 100 + 40 + 10 + 90


def test_a_micro_batch_is_as_full_as_it_gets() -> None:
    assert rows_of(UPDATE, SHORT) == (3, 26)  # 3 x (100 + 4 x 25) = 600
    assert rows_of(replace(UPDATE, token_budget=10), SHORT) == (1, 50)  # a row is never cut
    assert rows_of(replace(UPDATE, token_budget=10**6), SHORT) == (8, 50)  # there is no more
    assert rows_of(replace(UPDATE, token_budget=150), Length(140, 0)) == (1, 50)


def test_weights_gradients_and_moments_by_hand(llama: Shapes) -> None:
    per_layer = 64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 160 + 2 * 64
    parameters = 2 * 1000 * 64 + 4 * per_layer + 64
    found = needs(llama, replace(RL, reference=True), SHORT, gpu=False)
    assert (found.weights, found.reference) == (4 * parameters, 4 * parameters)
    assert (found.gradients, found.moments) == (4 * parameters, 8 * parameters)
    assert found.step == 8 * 1000 * 64 and found.copy == 0
    judging = needs(llama, Work(name="judge", drawing=DRAWING, half=True), SHORT, gpu=True)
    assert judging.weights == 2 * parameters and judging.gradients == judging.copy == 0


def test_keys_of_a_prompt_are_kept_once(llama: Shapes) -> None:
    per_token = 4 * 2 * 32 * 4
    assert needs(llama, RL, SHORT, gpu=False).cache == per_token * (8 * 100 + 32 * 50)
    # Under autocast rotated keys are float32 and values bfloat16.
    assert needs(llama, RL, SHORT, gpu=True).cache == per_token * 3 // 4 * (8 * 100 + 32 * 50)
    # As many prompts as the engine samples at once, where there are more.
    many = replace(RL, drawing=replace(DRAWING, prompts=None))
    rows = 2**16 // (4 * 150)
    assert needs(llama, many, SHORT, gpu=False).cache == per_token * (rows * 100 + 4 * rows * 50)


@pytest.mark.parametrize("gpu", [False, True], ids=["cpu", "gpu"])
def test_less_work_needs_less_memory(llama: Shapes, gpu: bool) -> None:
    def of(work: Work) -> int:
        return needs(llama, work, SHORT, gpu=gpu).peak

    assert of(replace(RL, rank=4)) < of(RL) < of(replace(RL, reference=True))
    assert of(replace(RL, rank=4, reference=True)) == of(replace(RL, rank=4))
    assert of(replace(RL, checkpointing=True)) < of(RL)
    assert of(replace(RL, update=None)) < of(RL) and of(replace(RL, drawing=None)) <= of(RL)
    budgets = [
        of(replace(RL, update=replace(UPDATE, token_budget=budget))) for budget in (100, 400, 600, 1200)
    ]
    assert budgets == sorted(budgets) and budgets[0] < budgets[-1]


def test_a_gpu_keeps_a_copy_of_what_it_trains(llama: Shapes) -> None:
    full, adapters = (needs(llama, replace(RL, rank=rank), SHORT, gpu=True) for rank in (None, 4))
    matrices = 4 * (64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 160)
    assert full.copy == 2 * (matrices + 1000 * 64) and adapters.copy < full.copy / 5


def test_images_need_memory() -> None:
    shapes = Shapes(read_config("toy")[1])
    with_image, without = (
        needs(shapes, RL, Length(100, patches), gpu=False).activations for patches in (256, 0)
    )
    assert with_image > without + 256 * 4 * 3 * 2 * 14 * 14


def test_the_longest_prompt_is_the_models_own() -> None:
    prompts = [r1_reward(pair.preference()) for pair in pairs(8, seed=1)]
    policy = TokenPolicy.load("toy", device="cpu")
    encoded = [policy.encode(prompt) for prompt in prompts]
    folder, config = read_config("toy")
    assert longest(without_weights(folder, config), prompts) == (
        max(e.num_tokens for e in encoded),
        max(len(e.media["pixel_values"]) for e in encoded),
    )


def test_a_folder_without_a_tokenizer_has_no_longest_prompt(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no processor"):
        without_weights(tmp_path, read_config("toy")[1])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured through /proc")
def test_the_estimate_is_near_what_a_process_takes(tmp_path: Path) -> None:
    measured_memory.create(tmp_path)
    folder, config = read_config(tmp_path)
    prompt = longest(without_weights(folder, config), measured_memory.shown())
    shapes = Shapes(config)
    prompts, group = measured_memory.PROMPTS, measured_memory.GROUP
    completion = measured_memory.COMPLETION

    def process(environment: dict[str, str], **asked: object) -> int:
        command = [sys.executable, measured_memory.__file__, str(tmp_path), json.dumps(asked)]
        ended = subprocess.run(
            command, capture_output=True, text=True, check=True, env={**os.environ, **environment}
        )
        [grown] = json.loads(ended.stdout).values()
        return int(grown)

    estimated, measured = [], []
    for checkpointing, token_budget in ((False, 1200), (False, 300), (True, 1200)):
        update = Update(prompts=prompts, group=group, completion=completion, token_budget=token_budget)
        drawing = Drawing(group=group, completion=completion, prompts=prompts)
        found = needs(
            shapes,
            Work(name="rl", update=update, drawing=drawing, checkpointing=checkpointing),
            prompt,
            gpu=False,
        )
        estimated.append(found.peak - found.weights - found.moments)
        measured.append(process({}, checkpointing=checkpointing, token_budget=token_budget))
    drawing = Drawing(group=64, completion=8, prompts=prompts)
    found = needs(shapes, Work(name="difficulty", drawing=drawing), prompt, gpu=False)
    estimated.append(found.cache + found.scratch)
    # Alone, sampling is held against what it uses: here freed memory goes back to the system.
    measured.append(process({"MALLOC_MMAP_THRESHOLD_": "65536"}, group=64, completion=8))
    shares = [ours / theirs for ours, theirs in zip(estimated, measured, strict=True)]
    print([(f"{e / 2**20:.0f} of {m / 2**20:.0f} MiB") for e, m in zip(estimated, measured, strict=True)])
    assert all(WITHIN[0] <= share <= WITHIN[1] for share in shares), shares
    # What is estimated to need clearly more does need more.
    clear = [(a, b) for a in range(3) for b in range(3) if estimated[a] > 1.1 * estimated[b]]
    assert clear and all(measured[a] > measured[b] for a, b in clear)
