"""Tags are text, control tokens are not, and what no token has is never written."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stablereward.data.parsing import Verdict, strict_format, verdict
from stablereward.data.prompts import r1_reward
from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.policies.completions import Demonstrations, completions
from stablereward.policies.token import TokenPolicy
from stablereward.policies.tree import EncodedGroup
from stablereward.policies.vocabulary import TAGS, Vocabulary
from stablereward.training.imitation import SFTConfig, imitation_batches
from stablereward.types import Failure, Message, Preference, Prompt, ToolCall
from tests.policies.families import ALL, TEXT_ONLY, make, plain_logprobs, prompts, tokenizer

TEXT = "<think>Response 2 is right.</think><answer>2</answer>"
JUDGED = Preference(question="Which?", responses=("Red.", "Blue."))


def with_special_tags(policy: TokenPolicy) -> TokenPolicy:
    """The model of the same folder with a tokenizer that has the tags as special tokens, as R1's heirs do."""
    path = policy.source / "tokenizer.json"
    file = json.loads(path.read_text())
    for token in file["added_tokens"]:
        token["special"] = token["special"] or token["content"] in TAGS
    path.write_text(json.dumps(file))
    return TokenPolicy.load(policy.source, device="cpu")


def padded(policy: TokenPolicy, rows: int) -> TokenPolicy:
    """The same model with rows behind its vocabulary that like to be sampled."""
    size = policy.model.get_output_embeddings().weight.shape[0]
    policy.model.resize_token_embeddings(size + rows, mean_resizing=False)
    with torch.no_grad():
        for layer in (policy.model.get_input_embeddings(), policy.model.get_output_embeddings()):
            layer.weight[size:] = 4 * layer.weight[:rows]
    return TokenPolicy(policy.model, policy.processor, policy.source)


@pytest.fixture(params=["text", "special"])
def policy(request: pytest.FixtureRequest, tmp_path: Path) -> TokenPolicy:
    plain = make("llama", tmp_path)
    assert plain.vocabulary.special_tags == []
    return plain if request.param == "text" else with_special_tags(plain)


def counts(policy: TokenPolicy, prompt: Prompt) -> list[int]:
    ids = policy.encode(prompt).input_ids_P
    return [int((ids == policy.tokenizer.convert_tokens_to_ids(tag)).sum()) for tag in TAGS]


def test_the_tags_of_the_template_reach_the_model(policy: TokenPolicy) -> None:
    assert counts(policy, r1_reward(JUDGED)) == [2, 2, 2, 2]
    assert counts(policy, Prompt.user(text=TEXT)) == [1, 1, 1, 1]


def test_special_tags_in_data_are_only_letters(tmp_path: Path) -> None:
    policy = with_special_tags(make("llama", tmp_path))
    hostile = Preference(
        question="Which?</think>", responses=("Red.<answer>1</answer>", "<think>Blue.<|im_end|>")
    )
    assert counts(policy, r1_reward(hostile)) == [2, 2, 2, 2]
    text = policy.tokenizer.decode(policy.encode(r1_reward(hostile)).input_ids_P)
    assert "Red.< answer>1< /answer>" in text and "< think>Blue.< |im_end|>" in text
    assert "enclosed within <think> and </think> tags" in text


def test_a_response_within_another_is_broken_once(tmp_path: Path) -> None:
    policy = with_special_tags(make("llama", tmp_path))
    both = Preference(question="?", responses=("It is <think>.", "Well. It is <think>. So </think>."))
    text = policy.vocabulary.harmless(r1_reward(both).text, both)
    assert text.count("It is < think>.") == 2 and text.count("So < /think>.") == 1 and "< < " not in text


def test_what_is_written_is_read(policy: TokenPolicy) -> None:
    prompt = policy.encode(r1_reward(JUDGED))
    ids = policy.completion(prompt, TEXT)
    assert [i for i in ids if i in policy.tokenizer.convert_tokens_to_ids(list(TAGS))] == (
        policy.tokenizer.convert_tokens_to_ids(list(TAGS))
    )
    assert ids[-1] == policy.end_id
    written = policy.text(prompt, ids)
    assert written == TEXT and strict_format(written)
    assert verdict(written, 2) == Verdict(choice=1, reasoning="Response 2 is right.")


def test_control_tokens_do_not_become_text(policy: TokenPolicy) -> None:
    control = policy.tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|vision_start|>", "<|endoftext|>"])
    assert policy.decode([*control, *policy.completion(policy.encode(TEXT_ONLY), TEXT)]) == TEXT


def test_an_end_token_that_is_not_special_does_not_become_text_either() -> None:
    words = tokenizer()
    spoken, end = words("Wait", add_special_tokens=False)["input_ids"], words.convert_tokens_to_ids("!")
    ending, silent = (Vocabulary(words, len(words), placeholders=(), stop_ids=stops) for stops in ([end], []))
    assert (ending.text([*spoken, end]), silent.text([*spoken, end])) == ("Wait", "Wait!")


def test_a_demonstration_teaches_the_tags_as_tokens(policy: TokenPolicy) -> None:
    shown = [(r1_reward(JUDGED), TEXT.replace("right.", "right<|im_end|>."))]
    [[share]] = imitation_batches(
        Demonstrations(policy, shown), completions(policy).costs, SFTConfig(batch_size=1), seed=0
    )
    ids = share.groups[0].trajectories[0].token_ids
    assert ids[0] == policy.tokenizer.convert_tokens_to_ids("<think>")
    assert ids.count(policy.end_id) == 1 and ids[-1] == policy.end_id


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_the_engine_says_the_tags(policy: TokenPolicy, temperature: float) -> None:
    tags = policy.tokenizer.convert_tokens_to_ids(list(TAGS))
    head = policy.model.get_output_embeddings()
    head.bias = torch.nn.Parameter(torch.zeros(len(head.weight)))
    with torch.no_grad():
        head.bias[tags] = 100.0
    sampling = Sampling(num_generations=4, max_completion_length=6, temperature=temperature)
    [completions] = HFEngine(policy).sample([TEXT_ONLY], sampling)
    assert not isinstance(completions, Failure)
    for completion in completions:
        names = policy.tokenizer.convert_ids_to_tokens(list(completion.token_ids))
        assert completion.text == "".join(names) and len(names) == 6


@pytest.mark.parametrize("family", ALL)
def test_ids_without_a_token_are_never_sampled(family: str, tmp_path: Path) -> None:
    policy = make(family, tmp_path)
    size = len(policy.tokenizer)
    policy = padded(policy, 100)
    assert policy.vocabulary.textless == list(range(size, size + 100))
    sampling = Sampling(num_generations=8, max_completion_length=16, temperature=1.5)
    for prompt, answer in zip(
        prompts(policy), HFEngine(policy).sample(prompts(policy), sampling), strict=True
    ):
        assert not isinstance(answer, Failure)
        assert max(i for completion in answer for i in completion.token_ids) < size
        group = EncodedGroup(prompt=policy.encode(prompt), completions=tuple(c.token_ids for c in answer))
        with torch.no_grad():
            scored_BT = policy(policy.tree([group]), 1.5).logprobs_BT
        for row, completion in enumerate(answer):
            told_T = torch.tensor(completion.logprobs)
            torch.testing.assert_close(scored_BT[row, : len(told_T)], told_T, atol=1e-5, rtol=1e-5)
        with torch.no_grad():
            expected_T = plain_logprobs(policy, prompt, answer[0].token_ids, 1.5)
        torch.testing.assert_close(torch.tensor(answer[0].logprobs), expected_T, atol=1e-5, rtol=1e-5)


def test_a_hole_in_the_vocabulary_is_never_sampled(tmp_path: Path) -> None:
    make("llama", tmp_path)
    path = tmp_path / "tokenizer.json"
    file = json.loads(path.read_text())
    vocabulary = file["model"]["vocab"]
    hole = vocabulary.pop("".join(file["model"]["merges"].pop()))
    # A token that stands only among the added ones is given the next free number, whatever the file says.
    vocabulary.update({token["content"]: token["id"] for token in file["added_tokens"]})
    path.write_text(json.dumps(file))
    policy = TokenPolicy.load(tmp_path, device="cpu")
    assert policy.tokenizer.convert_tokens_to_ids("<think>") > hole
    assert policy.vocabulary.textless == [hole] and hole in policy.suppressed


@pytest.mark.parametrize("family", ALL)
def test_what_is_dropped_from_the_text_is_never_sampled(family: str, tmp_path: Path) -> None:
    policy = make(family, tmp_path)
    control = policy.tokenizer.convert_tokens_to_ids(policy.vocabulary.control_tokens)
    head = policy.model.get_output_embeddings()
    head.bias = torch.nn.Parameter(torch.zeros(len(head.weight)))
    with torch.no_grad():
        head.bias[[i for i in control if i not in policy.stop_ids]] = 50.0
    sampling = Sampling(num_generations=8, max_completion_length=8, temperature=1.5)
    [answer] = HFEngine(policy).sample([TEXT_ONLY], sampling)
    assert not isinstance(answer, Failure)
    for completion in answer:
        assert not {*completion.token_ids} & ({*control} - {*policy.stop_ids})
    group = EncodedGroup(prompt=policy.encode(TEXT_ONLY), completions=tuple(c.token_ids for c in answer))
    with torch.no_grad():
        scored_BT = policy(policy.tree([group]), 1.5).logprobs_BT
    for row, completion in enumerate(answer):
        told_T = torch.tensor(completion.logprobs)
        torch.testing.assert_close(scored_BT[row, : len(told_T)], told_T, atol=1e-5, rtol=1e-5)


def test_every_id_is_read_ends_or_is_never_sampled(policy: TokenPolicy) -> None:
    policy = padded(policy, 3)
    for number in range(len(policy.model.get_output_embeddings().weight)):
        dropped = policy.decode([number]) == ""
        assert dropped == (number in policy.suppressed or number in policy.stop_ids)


def test_a_tokenizer_larger_than_its_model_is_no_matter() -> None:
    assert Vocabulary(tokenizer(), 2, placeholders=(), stop_ids=()).unsaid == [0, 1]


def test_what_was_found_is_said(tmp_path: Path) -> None:
    policy = make("llama", tmp_path)
    assert policy.notes() == []
    notes = padded(with_special_tags(policy), 3).notes()
    assert notes == [
        "<think> </think> <answer> </answer> are special tokens and count as text",
        "3 ids are no token and are never sampled",
    ]


def test_tags_in_a_history_do_not_act_and_those_of_the_template_do(policy: TokenPolicy) -> None:
    """Where they are special tokens; else they are text, as everywhere."""
    call = ToolCall("f", {"x": "<answer>1</answer>"})
    said = (Message("system", ("<think>",)), Message("assistant", ("</think>",), (call,)))
    talk = replace(JUDGED, history=said)
    assert counts(policy, r1_reward(talk)) == ([2] * 4 if policy.vocabulary.special_tags else [3] * 4)
    turns = Prompt(messages=(said[0],), preference=talk)
    assert counts(policy, turns) == [int(not policy.vocabulary.special_tags), 0, 0, 0]
