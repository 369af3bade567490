"""A process reward model: what it is asked, where it is read, and folders that are none."""

import json
from pathlib import Path

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForTokenClassification

from stablereward.errors import ModelError
from stablereward.policies import tiny
from stablereward.policies.process_model import ProcessModel
from stablereward.types import Failure, Prompt


def made(folder: Path, labels: int = 2) -> Path:
    tokenizer = tiny.train_tokenizer((), vocab_size=264)
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, num_labels=labels, max_position_embeddings=128,
        initializer_range=0.3,
    )  # fmt: skip
    Qwen2ForTokenClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("process")
    return made(path)


def test_a_step_is_read_at_the_line_break_after_it(folder: Path) -> None:
    found = ProcessModel.load(folder, device="cpu")(Prompt.user(text="1+1"), ["one", "", "two"])
    model = Qwen2ForTokenClassification.from_pretrained(folder).eval()
    tokenizer = tiny.train_tokenizer((), vocab_size=264)
    text = "<|im_start|>user\n1+1<|im_end|>\n<|im_start|>assistant\none\n\ntwo\n"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    places = [n for n, token in enumerate(ids) if tokenizer.decode([token]) == "\n"][-3:]
    with torch.no_grad():
        logits_KL = model(torch.tensor([ids])).logits[0, places]
    expected = logits_KL.softmax(-1)[:, 1]
    assert isinstance(found, list)
    torch.testing.assert_close(torch.tensor(found), expected)
    assert all(0 < score < 1 for score in found)


def test_what_is_too_long_has_no_scores(folder: Path) -> None:
    found = ProcessModel.load(folder, device="cpu")(Prompt.user(text="1+1"), ["x" * 200])
    assert isinstance(found, Failure) and found.reason == "too_long"


def test_folders_that_are_no_process_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="3 labels"):
        ProcessModel.load(made(tmp_path / "three", labels=3), device="cpu")
    with pytest.raises(ModelError, match="no model here"):
        ProcessModel.load(tmp_path, device="cpu")
    plain = made(tmp_path / "plain")
    (plain / "chat_template.jinja").unlink(missing_ok=True)
    settings = json.loads((plain / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (plain / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match="no chat template"):
        ProcessModel.load(plain, device="cpu")
