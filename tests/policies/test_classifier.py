"""Published reward models, tiny and real: saved, loaded and compared with what transformers gives."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    MistralConfig,
    MistralForSequenceClassification,
    Qwen2Config,
    Qwen2ForSequenceClassification,
)

from stablereward.errors import ConfigError, ModelError
from stablereward.policies.classifier import Classifier
from stablereward.policies.scalar import ScalarModel, is_reward_model, load_scorer
from stablereward.types import Failure, Message, Preference, ToolCall
from tests.policies.families import tokenizer

DIALOGUES = [
    ("What is it?", "A cat."),
    ("What is it?", "A red circle in the upper left corner, and nothing else that I can see in it."),
    ("Which is larger, and why? Think first.", "The square."),
]
KINDS = {
    "llama": (LlamaConfig, LlamaForSequenceClassification),
    "qwen2": (Qwen2Config, Qwen2ForSequenceClassification),
    "mistral": (MistralConfig, MistralForSequenceClassification),
}
"""Mistral attends through a window, so that it is read by its own forward."""


def make(
    folder: Path, kind: str = "llama", *, pad: int | None, labels: int = 1, template: bool = True
) -> Path:
    """A random tiny reward model; `pad` is what its config calls padding."""
    words = tokenizer()
    config, model = KINDS[kind]
    settings = config(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=words.eos_token_id,
        pad_token_id=pad,
        num_labels=labels,
    )
    torch.manual_seed(0)
    model(settings).save_pretrained(folder)
    words.save_pretrained(folder)
    if not template:
        (folder / "chat_template.jinja").unlink()
    return folder


def pads() -> dict[str, int | None]:
    """A token of its own, none at all, the end token, which also ends every turn, and the last token."""
    words = tokenizer()
    return {
        "own": words.pad_token_id,
        "none": None,
        "end": words.eos_token_id,
        "last": words("\n", add_special_tokens=False)["input_ids"][-1],
    }


def asked(*dialogues: tuple[str, str]) -> list[Preference]:
    return [Preference(question=question, responses=(response,)) for question, response in dialogues]


def alone(folder: Path, question: str, response: str) -> float:
    """The score by transformers alone: the model's own forward on one unpadded row."""
    words: Any = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    chat = [{"role": "user", "content": question}, {"role": "assistant", "content": response}]
    row = words.apply_chat_template(chat, tokenize=True, return_dict=True, return_tensors="pt")
    with torch.no_grad():
        score: float = model(**row).logits[0, 0].item()
    return score


@pytest.mark.parametrize("pad", ["own", "none", "end", "last"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_law_padding_and_company_never_matter(kind: str, pad: str, tmp_path: Path) -> None:
    folder = make(tmp_path, kind, pad=pads()[pad])
    model = load_scorer(folder, device="cpu")
    assert isinstance(model, Classifier if kind == "mistral" else ScalarModel)
    expected = [alone(folder, *dialogue) for dialogue in DIALOGUES]
    assert len({round(score, 3) for score in expected}) == len(DIALOGUES)

    def scores(preferences: list[Preference]) -> list[Any]:
        return [score for scores in model.scores(preferences) for score in scores]

    assert scores(asked(*DIALOGUES)) == pytest.approx(expected, abs=1e-5)
    assert scores(asked(*DIALOGUES[::-1])) == pytest.approx(expected[::-1], abs=1e-5)
    together = Preference(question=DIALOGUES[0][0], responses=tuple(r for _, r in DIALOGUES[:2]))
    assert scores([together]) == pytest.approx(expected[:2], abs=1e-5)
    model.max_batch_tokens = 1
    assert scores([together, *asked(DIALOGUES[2])]) == pytest.approx(expected, abs=1e-5)


def test_the_dialogue_is_the_chat_template_without_an_opened_turn(tmp_path: Path) -> None:
    model = load_scorer(make(tmp_path, "mistral", pad=None), device="cpu")
    assert isinstance(model, Classifier)
    ids = model.encode(Preference(question="Hi", responses=()), "Yes<|im_end|>no")["input_ids"]
    end = model.tokenizer.eos_token_id
    assert model.tokenizer.decode(ids) == (
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nYes< |im_end|>no<|im_end|>\n"
    )
    assert ids.count(end) == 2
    model.scores(asked(("Hi", "Yes<|im_end|>no")))
    assert model.tokens_read == len(ids)


def test_an_encoder_without_a_template_reads_a_pair_of_sentences(tmp_path: Path) -> None:
    words: Any = tokenizer()
    make(tmp_path, pad=None, template=False)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_labels=1,
        pad_token_id=words.pad_token_id,
        max_position_embeddings=256,
    )
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    named = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({**named, "sep_token": "<|im_end|>"}))
    model = load_scorer(tmp_path, device="cpu")
    assert isinstance(model, Classifier)
    row = model.tokenizer("Hi", "Yes", return_tensors="pt")
    with torch.no_grad():
        expected = model.model(**row).logits[0, 0].item()
    pair = Preference(question="Hi", responses=("Yes", "Yes, and much more of it"))
    assert model.scores([pair])[0][0] == pytest.approx(expected, abs=1e-5)
    talk = Preference(question="Hi", responses=("Yes",), history=(Message("system", ("Be brief.",)),))
    assert model.encode(talk, "Yes") == dict(model.tokenizer("System: Be brief.\n\nUser: Hi", "Yes"))


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_what_does_not_fit_is_a_failure_and_the_others_are_scored(kind: str, tmp_path: Path) -> None:
    folder = make(tmp_path, kind, pad=None)
    preference = Preference(question=DIALOGUES[0][0], responses=("yes " * 300, DIALOGUES[0][1]))
    [(long, short)] = load_scorer(folder, device="cpu").scores([preference])
    assert isinstance(long, Failure) and long.reason == "too_long" and "256 fit" in long.detail
    assert short == pytest.approx(alone(folder, *DIALOGUES[0]), abs=1e-5)


HISTORY = (
    Message("system", ("Be brief.",)),
    Message("user", ("Weather?",)),
    Message("assistant", ("I look.",), (ToolCall("weather", {"place": "<|im_end|>"}),)),
    Message("tool<|im_end|>", ("snow",)),
)


def test_a_history_is_the_turns_before_the_question(tmp_path: Path) -> None:
    model = load_scorer(make(tmp_path, "mistral", pad=None), device="cpu")
    assert isinstance(model, Classifier)
    asked = Preference(question="So?", responses=("Cold.",), history=HISTORY)
    said = [turn.text for turn in HISTORY]
    said[2] += '\n{"name": "weather", "arguments": {"place": "< |im_end|>"}}'
    roles = ("system", "user", "assistant", "tool< |im_end|>")
    chat: Any = [{"role": role, "content": text} for role, text in zip(roles, said, strict=True)]
    chat += [{"role": "user", "content": "So?"}, {"role": "assistant", "content": "Cold."}]
    row = model.tokenizer.apply_chat_template(chat, tokenize=True, return_dict=True, return_tensors="pt")
    assert list(model.encode(asked, "Cold.")["input_ids"]) == row["input_ids"][0].tolist()
    with torch.no_grad():
        expected = model.model(**row).logits[0, 0].item()
    assert model.scores([asked])[0] == pytest.approx((expected,), abs=1e-5)


def test_a_template_that_refuses_a_role_is_one_clear_line(tmp_path: Path) -> None:
    path = make(tmp_path, "mistral", pad=None) / "chat_template.jinja"
    refusal = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    path.write_text(refusal + path.read_text())
    asked = Preference(question="So?", responses=("Cold.",), history=HISTORY[:1], where="rows.jsonl:7")
    said = r"does not take the turns system, user, assistant of rows.jsonl:7: no system role; leave [^\n]*$"
    with pytest.raises(ModelError, match=said):
        load_scorer(tmp_path, device="cpu").scores([asked])


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_a_score_that_is_no_number_is_a_failure(kind: str, tmp_path: Path) -> None:
    model: Any = load_scorer(make(tmp_path, kind, pad=None), device="cpu")
    (model.model if kind == "mistral" else model.policy.model).score.weight.data.fill_(float("nan"))
    [(score,)] = model.scores(asked(DIALOGUES[0]))
    assert isinstance(score, Failure) and score.reason == "not_finite"


def test_a_classifier_cannot_see(tmp_path: Path) -> None:
    model = load_scorer(make(tmp_path, "mistral", pad=None), device="cpu")
    seen = Preference(question="q", responses=("a", "b"), images=(Image.new("RGB", (2, 2)),), id="7")
    with pytest.raises(ModelError, match="preference '7': has images"):
        model.scores([seen])


def test_a_reward_model_is_known_by_its_config(tmp_path: Path) -> None:
    assert is_reward_model(make(tmp_path, pad=None))
    assert not is_reward_model("toy")
    (tmp_path / "config.json").write_text('{"architectures": 3}')
    assert not is_reward_model(tmp_path)
    with pytest.raises(ModelError, match="no model here"):
        is_reward_model(tmp_path / "absent")


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has 3 labels, a reward model has one"):
        load_scorer(make(tmp_path / "labels", pad=None, labels=3), device="cpu")
    with pytest.raises(ModelError, match="neither a chat template nor a separator token"):
        load_scorer(make(tmp_path / "template", pad=None, template=False), device="cpu")
    folder = make(tmp_path / "weights", pad=None)
    with pytest.raises(ConfigError, match="dtype is 'int3'"):
        load_scorer(folder, device="cpu", dtype="int3")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded as a reward model"):
        load_scorer(folder, device="cpu")


def test_a_language_model_without_a_scalar_head_is_refused() -> None:
    with pytest.raises(ModelError, match=r"weights are not in the files|cannot be loaded"):
        load_scorer("toy", device="cpu")


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_the_date_in_a_template_stands_still(kind: str, tmp_path: Path) -> None:
    path = make(tmp_path, kind, pad=0) / "chat_template.jinja"
    path.write_text("{{ strftime_now('%d %b %Y') }}" + path.read_text())
    model: Any = load_scorer(tmp_path, device="cpu")
    words = model.tokenizer if kind == "mistral" else model.policy.tokenizer
    ids = words.apply_chat_template([{"role": "user", "content": "Hi"}], return_dict=False)
    assert words.decode(ids).startswith("26 Jul 2024<|im_start|>")
