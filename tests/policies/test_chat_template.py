"""Templates that think, that know the date, that stand elsewhere, that end turns with another token."""

import json
from pathlib import Path

import pytest
import torch

from stablereward.data.parsing import Verdict, strict_format, verdict
from stablereward.data.prompts import r1_reward
from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.errors import ModelError
from stablereward.policies.chat_template import after_opening, opened_by, pinned
from stablereward.policies.completions import Demonstrations, completions
from stablereward.policies.tiny import CHAT_TEMPLATE
from stablereward.policies.token import TokenPolicy
from stablereward.training.fit import fit
from stablereward.training.imitation import SFTConfig, imitation_batches, imitation_loss
from stablereward.training.optim import OptimConfig, adamw
from stablereward.types import Failure, Preference, Prompt
from tests.policies.families import ALL, TEXT_ONLY, VISION, make

THINKING = CHAT_TEMPLATE.replace("assistant\n", "assistant\n<think>\n")
JUDGED = r1_reward(Preference(question="Which?", responses=("Red.", "Blue.")))
TEXT = "<think>\nResponse 2 is right.</think><answer>2</answer>"


@pytest.mark.parametrize(
    "asking",
    [
        "{% set f=strftime_now %}{{ f('%Y') }}",
        "{{ (strftime_now)('%Y') }}",
        "{{ [strftime_now][0]('%Y') }}",
        "{{ '%Y' | strftime_now }}",
        "{% if strftime_now is defined %}{{ strftime_now(day) }}{% endif %}",
    ],
)
def test_a_clock_that_is_left_over_in_any_way_is_refused(asking: str) -> None:
    with pytest.raises(ModelError, match="cannot be pinned"):
        pinned(asking, Path("m"))


def test_asking_whether_there_is_a_clock_is_fine() -> None:
    asked = "{% if strftime_now is defined %}{{ strftime_now('%Y') }}{% endif %}"
    assert pinned(asked, Path("m")) == '{% if strftime_now is defined %}{{ "2024" }}{% endif %}'
    asked = "{% if strftime_now is not defined %}2024{% endif %}"
    assert pinned(asked, Path("m")) == asked


def with_template(policy: TokenPolicy, template: str) -> TokenPolicy:
    """The model of the same folder with another chat template."""
    (policy.source / "chat_template.jinja").write_text(template)
    return TokenPolicy.load(policy.source, device="cpu")


def rendered(policy: TokenPolicy, text: str = "Hi") -> str:
    decoded: str = policy.tokenizer.decode(policy.encode(Prompt.user(text=text)).input_ids_P)
    return decoded


@pytest.mark.parametrize("family", ["llama", "qwen2_5_vl"])
def test_a_template_that_opens_the_thinking(family: str, tmp_path: Path) -> None:
    assert make(family, tmp_path).encode(JUDGED).opened == ""
    policy = with_template(make(family, tmp_path), THINKING)
    prompt = policy.encode(JUDGED)
    assert prompt.opened == "<think>\n" and rendered(policy).endswith("assistant\n<think>\n")
    ids = policy.completion(prompt, TEXT)
    # Taught without the tag that stands in the prompt already, and read as if it had been written.
    assert policy.tokenizer.convert_tokens_to_ids("<think>") not in ids
    assert policy.decode(ids) == "Response 2 is right.</think><answer>2</answer>"
    assert policy.text(prompt, ids) == TEXT and strict_format(TEXT)
    assert verdict(policy.text(prompt, ids), 2) == Verdict(choice=1, reasoning="Response 2 is right.")
    assert policy.notes() == ["the chat template opens <think>, and completions begin with it"]


def test_samples_begin_with_what_the_template_opened(tmp_path: Path) -> None:
    policy = with_template(make("llama", tmp_path), THINKING)
    sampling = Sampling(num_generations=3, max_completion_length=5)
    for answer in HFEngine(policy).sample([JUDGED, TEXT_ONLY], sampling):
        assert not isinstance(answer, Failure)
        for completion in answer:
            assert completion.text == "<think>\n" + policy.decode(completion.token_ids)
            assert len(completion.token_ids) == len(completion.logprobs) <= 5


def test_a_demonstration_leaves_out_what_the_template_opened(tmp_path: Path) -> None:
    policy = with_template(make("llama", tmp_path), THINKING)
    shown = [(JUDGED, "<think>Response 2 is right.</think><answer>2</answer>")]
    [[share]] = imitation_batches(
        Demonstrations(policy, shown), completions(policy).costs, SFTConfig(batch_size=1), seed=0
    )
    ids = share.groups[0].trajectories[0].token_ids
    assert policy.decode(ids) == "Response 2 is right.</think><answer>2</answer>"


def test_a_thinking_model_learns_the_format_that_is_rewarded(tmp_path: Path) -> None:
    policy = with_template(make("llama", tmp_path), THINKING)
    shown = [(JUDGED, "<think>Response 2 is right.</think><answer>2</answer>")]
    optim = OptimConfig(learning_rate=1e-2)
    for _ in fit(
        policy.train().parameters(),
        imitation_batches(
            Demonstrations(policy, shown),
            completions(policy).costs,
            SFTConfig(epochs=15, batch_size=1),
            seed=0,
        ),
        lambda share: imitation_loss(completions(policy).score, share),
        optimizer=adamw(policy.parameters(), optim),
        learning_rate=lambda update: optim.learning_rate,
    ):
        pass
    [answer] = HFEngine(policy).sample([JUDGED], Sampling(temperature=0.0, max_completion_length=64))
    assert not isinstance(answer, Failure)
    assert answer[0].finished and strict_format(answer[0].text)
    assert verdict(answer[0].text, 2) == Verdict(choice=1, reasoning="Response 2 is right.")


@pytest.mark.parametrize(
    ("opened", "text", "rest"),
    [
        ("", "<think>a</think>", "<think>a</think>"),
        ("<think>\n", "<think>\n  a</think>", "  a</think>"),
        ("<think>\n", "<think>a</think>", "a</think>"),
        ("<think>\n", " <think> a</think>", "a</think>"),
        ("<think>", "<think>a</think>", "a</think>"),
        ("<think>\n", "<answer>1</answer>", "</think><answer>1</answer>"),
    ],
)
def test_what_is_left_to_write(opened: str, text: str, rest: str) -> None:
    assert after_opening(opened, text) == rest


@pytest.mark.parametrize(
    ("end", "opened"),
    [
        ("assistant\n", ""),
        ("assistant\n<think>", "<think>"),
        ("assistant\n<think>\n\n", "<think>\n\n"),
        ("assistant\n<think>\n\n</think>\n\n", ""),
        ("assistant\n</think>", ""),
    ],
)
def test_only_thinking_that_is_open_counts(end: str, opened: str) -> None:
    assert opened_by(f"use <think> and </think> tags<|im_end|>\n<|im_start|>{end}") == opened


@pytest.mark.parametrize("call", ['strftime_now("%d %b %Y")', "strftime_now( '%Y-%m-%d' )"])
def test_the_date_stands_still(call: str, tmp_path: Path) -> None:
    policy = with_template(
        make("llama", tmp_path),
        "{% if strftime_now is defined %}{{ " + call + " }}{% endif %}" + CHAT_TEMPLATE,
    )
    assert rendered(policy).startswith(("26 Jul 2024<|im_start|>", "2024-07-26<|im_start|>"))


def test_a_date_that_cannot_be_pinned_is_refused(tmp_path: Path) -> None:
    template = "{% set f = '%Y' %}{{ strftime_now(f) }}" + CHAT_TEMPLATE
    with pytest.raises(ModelError, match="today's date in a way that cannot be pinned"):
        with_template(make("llama", tmp_path), template)


@pytest.mark.parametrize(
    ("family", "name"),
    [
        *((family, "chat_template.json") for family in ALL),
        *((family, "processor_config.json") for family in VISION),
    ],
)
def test_a_template_in_a_file_of_the_processor_is_read(family: str, name: str, tmp_path: Path) -> None:
    policy = make(family, tmp_path)
    expected = policy.encode(TEXT_ONLY).input_ids_P
    (tmp_path / "chat_template.jinja").unlink()
    path = tmp_path / name
    settings = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**settings, "chat_template": CHAT_TEMPLATE}))
    assert torch.equal(TokenPolicy.load(tmp_path, device="cpu").encode(TEXT_ONLY).input_ids_P, expected)


@pytest.mark.parametrize("family", VISION)
def test_the_processors_template_comes_before_the_tokenizers(family: str, tmp_path: Path) -> None:
    make(family, tmp_path)
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": THINKING}))
    assert TokenPolicy.load(tmp_path, device="cpu").encode(TEXT_ONLY).opened == "<think>\n"


def test_a_broken_template_file_is_a_model_error(tmp_path: Path) -> None:
    make("llama", tmp_path)
    (tmp_path / "chat_template.json").write_text('{"chat_template": 7}')
    with pytest.raises(ModelError, match=r"cannot be loaded as a model: chat_template\.json"):
        TokenPolicy.load(tmp_path, device="cpu")


def test_a_template_that_refuses_is_a_model_error(tmp_path: Path) -> None:
    policy = with_template(make("llama", tmp_path), "{{ raise_exception('a system turn, please') }}")
    with pytest.raises(ModelError, match="does not take the turns user of prompt: a system turn, please"):
        policy.encode(TEXT_ONLY)


def test_the_end_of_a_turn_is_taught_ends_and_is_saved(tmp_path: Path) -> None:
    """A base model's tokenizer ends texts, its template ends turns: Qwen's, Phi's, Gemma's."""
    settings = tmp_path / "model" / "tokenizer_config.json"
    policy = make("llama", tmp_path / "model")
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "eos_token": "<|endoftext|>"}))
    policy.model.generation_config.eos_token_id = policy.model.config.eos_token_id = 0
    policy.model.save_pretrained(tmp_path / "model")
    policy = TokenPolicy.load(tmp_path / "model", device="cpu")
    end, other = policy.tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    assert (policy.end_id, policy.stop_ids, policy.tokenizer.eos_token_id) == (end, [end, other], other)
    assert policy.completion(policy.encode(TEXT_ONLY), TEXT)[-1] == end
    assert policy.notes() == ["a turn ends with the chat template's <|im_end|>, not with <|endoftext|>"]
    policy.save(tmp_path / "saved")
    saved = json.loads((tmp_path / "saved" / "generation_config.json").read_text())["eos_token_id"]
    assert end in (saved if isinstance(saved, list) else [saved])


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}{{ m['content'] }}\n{% endfor %}",
        "<|im_start|>{{ messages[0]['content'] }}",
        "{{ raise_exception('one turn, please') if messages[1:] else messages[0]['content'] }}",
    ],
)
def test_a_template_that_ends_no_turn_leaves_the_tokenizers_end(template: str, tmp_path: Path) -> None:
    policy = with_template(make("llama", tmp_path), template)
    assert policy.end_id == policy.tokenizer.eos_token_id
