"""The tiny base model is taught what it is asked: the same tokens, and the answers alone."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stablereward.data.toy.scenes import draw, random_scene
from stablereward.policies.token import TokenPolicy
from stablereward.policies.tree import EncodedGroup
from stablereward.recipes import toy_base
from stablereward.recipes.toy_base import Config, batches, run
from stablereward.training.optim import OptimConfig
from stablereward.types import Prompt

SMALL = Config(
    start="toy-base",
    num_updates=3,
    pictures_per_batch=4,
    num_pictures=6,
    device="cpu",
    optim=OptimConfig(learning_rate=1e-3),
)


@pytest.fixture(scope="module")
def policy() -> TokenPolicy:
    return TokenPolicy.load("toy-base", device="cpu")


def groups(policy: TokenPolicy) -> list[EncodedGroup]:
    return [group for batch in batches(policy, SMALL) for micro_batch in batch for group in micro_batch]


def split(policy: TokenPolicy, ids: tuple[int, ...]) -> tuple[str, str]:
    """The instruction and the answer that a completion holds."""
    instruction, rest = policy.tokenizer.decode(ids).split("<|im_end|>\n<|im_start|>assistant\n")
    assert rest.endswith("<|im_end|>")
    return instruction, rest


def test_a_batch_reads_each_picture_once_for_its_tasks(policy: TokenPolicy) -> None:
    made = list(batches(policy, SMALL))
    assert [[len(micro_batch) for micro_batch in batch] for batch in made] == [[4]] * 3
    assert all(len(group.completions) == 2 for batch in made for part in batch for group in part)
    again = [group.completions for group in groups(policy)]
    assert again == [group.completions for batch in made for part in batch for group in part]
    assert len({id(group.prompt) for group in groups(policy)}) <= 6


def test_it_is_taught_the_tokens_it_will_be_asked_with(policy: TokenPolicy) -> None:
    picture = draw(random_scene(random.Random(0)))
    for group in groups(policy):
        for ids in group.completions:
            instruction, _ = split(policy, ids)
            asked = policy.encode(Prompt.user(text=instruction, images=(picture,)))
            taught = [*group.prompt.input_ids_P.tolist(), *ids]
            assert taught[: asked.num_tokens] == asked.input_ids_P.tolist()


def test_only_the_answer_is_learnt(policy: TokenPolicy) -> None:
    """The loss is the mean over the tokens of all answers, end token included."""
    made = groups(policy)[:4]
    loss = toy_base._loss(policy, made)
    with torch.no_grad():
        logprobs_BT = policy(policy.tree(made)).logprobs_BT
    total, count = 0.0, 0
    rows = [ids for group in made for ids in group.completions]
    for row, ids in enumerate(rows):
        num = len(policy.tokenizer(split(policy, ids)[1], add_special_tokens=False)["input_ids"])
        assert 0 < num < len(ids)
        total += float(logprobs_BT[row, len(ids) - num : len(ids)].sum())
        count += num
    assert float(loss.value.detach()) == pytest.approx(-total / count, abs=1e-5)


def test_the_recipe_writes_a_model_that_has_learnt(policy: TokenPolicy, tmp_path: Path) -> None:
    folder = run(replace(SMALL, output=tmp_path / "base"))
    trained = TokenPolicy.load(folder, device="cpu")
    pairs = zip(trained.parameters(), policy.parameters(), strict=True)
    assert folder == tmp_path / "base" and any(not torch.equal(ours, theirs) for ours, theirs in pairs)
