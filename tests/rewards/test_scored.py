"""A reward model's folder as a reward: the scores of the model, and what it cannot read."""

from dataclasses import replace
from pathlib import Path

import pytest
from transformers import LlamaConfig, LlamaForSequenceClassification

from stablereward.policies import tiny
from stablereward.policies.scalar import load_scorer
from stablereward.rewards.scored import scored_by
from stablereward.types import Completion, Failure, Group, Message, Preference, Prompt, Reward


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("scorer")
    tokenizer = tiny.train_tokenizer((), vocab_size=264)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=2, num_labels=1, pad_token_id=tokenizer.pad_token_id, max_position_embeddings=256,
    )  # fmt: skip
    LlamaForSequenceClassification(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def test_the_turns_of_a_prompt_are_read_as_turns(folder: Path) -> None:
    history = (
        Message("system", ("Be brief.",)),
        Message("user", ("Is it?",)),
        Message("assistant", ("What?",)),
    )
    prompt = Prompt(messages=(*history, Message("user", ("The cat.",))))
    group = Group(prompt=prompt, trajectories=(Completion(text="Yes."), Completion(text="No.")))
    rewards = scored_by(folder, device="cpu")(group)
    assert isinstance(rewards, list)
    asked = Preference(question="The cat.", responses=("Yes.", "No."), history=history)
    [expected] = load_scorer(folder, device="cpu").scores([asked])
    assert [r.value for r in rewards if isinstance(r, Reward)] == list(expected)
    [in_one] = load_scorer(folder, device="cpu").scores([replace(asked, history=(), question=prompt.text)])
    assert list(expected) != pytest.approx(in_one, abs=1e-5)


def test_every_response_of_a_prompt_gets_its_score(folder: Path) -> None:
    texts = ("Yes.", "No, it is not.", "long " * 100)
    group = Group(prompt=Prompt.user(text="Is it?"), trajectories=tuple(Completion(text=t) for t in texts))
    rewards = scored_by(folder, device="cpu")(group)
    assert isinstance(rewards, list)
    asked = Preference(question="Is it?", responses=texts)
    [expected] = load_scorer(folder, device="cpu").scores([asked])
    assert [r.value for r in rewards[:2] if isinstance(r, Reward)] == list(expected[:2])
    assert isinstance(rewards[2], Failure) and rewards[2].reason == "too_long"
