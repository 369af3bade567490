import hashlib
from pathlib import Path

import pytest
from safetensors.torch import load_file

from stablereward.data.prompts import r1_reward
from stablereward.policies import tiny
from stablereward.policies.token import TokenPolicy
from stablereward.policies.vocabulary import TAGS
from stablereward.types import Preference, Prompt
from tests.policies.families import picture, tokenizer

FILES = (
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    tiny.create(path)
    return path


def digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}


def test_a_seed_makes_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    tiny.create(tmp_path / "again")
    assert digests(tmp_path / "again") == digests(folder)
    tiny.create(tmp_path / "other", seed=1)
    differing = {name for name in FILES if digests(tmp_path / "other")[name] != digests(folder)[name]}
    assert differing == {"model.safetensors"}


def test_it_is_small_and_the_real_architecture(folder: Path) -> None:
    policy = TokenPolicy.load(folder, device="cpu")
    assert type(policy.model).__name__ == "Qwen2_5_VLForConditionalGeneration"
    assert 500_000 < sum(p.numel() for p in policy.parameters()) < 1_500_000
    assert policy.max_context == 2048
    assert policy.stop_ids == [policy.tokenizer.convert_tokens_to_ids("<|im_end|>")]
    special = set(policy.tokenizer.all_special_ids)
    assert {*policy.suppressed} == special - {*policy.stop_ids} and len(policy.suppressed) == 7


def test_a_head_is_shared_among_time_height_and_width() -> None:
    assert tiny._mrope_section(128) == [16, 24, 24]  # as in Qwen2.5-VL-7B
    for size in (16, 24, 32, 64):
        assert sum(tiny._mrope_section(size)) == size // 2


def test_a_judgement_prompt_is_short(folder: Path) -> None:
    policy = TokenPolicy.load(folder, device="cpu")
    preference = Preference(question="What colour is the ball?", responses=("Red.", "Blue."))
    prompt = r1_reward(preference)
    encoded = policy.encode(Prompt.user(text=prompt.text, images=(picture(84, 84),)))
    num_visual = int((encoded.input_ids_P == policy.model.config.image_token_id).sum())
    assert num_visual == 9
    assert encoded.num_tokens < 60
    for phrase in tiny.template_phrases():
        assert len(policy.tokenizer(phrase)["input_ids"]) == 1


def test_a_photograph_is_scaled_down(folder: Path) -> None:
    policy = TokenPolicy.load(folder, device="cpu")
    encoded = policy.encode(Prompt.user(text="?", images=(picture(640, 480),)))
    assert int((encoded.input_ids_P == policy.model.config.image_token_id).sum()) <= 64


@pytest.mark.parametrize(
    "text",
    [
        "The ball is red.",
        "  two  spaces\n\n\tand a tab ",
        "Ünïcödé, 中文, עברית, 🦊🏳️‍🌈",
        "\x00\x7f\u200b\ufeff",
        "<think>It is.</think><answer>1</answer>",
    ],
)
def test_any_text_survives_the_tokenizer(text: str) -> None:
    assert tokenizer().decode(tokenizer()(text)["input_ids"]) == text


def test_words_of_the_corpus_and_the_format_are_one_token() -> None:
    made = tiny.train_tokenizer(["The ball is red."] * 50, vocab_size=300, phrases=("Now judge: ",))
    for text in (" ball", *TAGS, "Now judge: "):
        assert len(made(text)["input_ids"]) == 1, text
    for number, name in enumerate(tiny.SPECIAL_TOKENS):
        assert made.convert_tokens_to_ids(name) == number
    # The format is text to write; control tokens are not part of it.
    ids = made("<|im_start|><think>red</think><|im_end|>")["input_ids"]
    assert made.decode(ids, skip_special_tokens=True) == "<think>red</think>"


def test_the_chat_template_by_hand() -> None:
    content = [{"type": "image"}, {"type": "text", "text": "Which?"}]
    chat = [{"role": "system", "content": "Be fair."}, {"role": "user", "content": content}]
    rendered = tokenizer().apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    assert rendered == (
        "<|im_start|>system\nBe fair.<|im_end|>\n"
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Which?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_output_weights_are_the_input_weights(folder: Path) -> None:
    model = TokenPolicy.load(folder, device="cpu").model
    assert model.lm_head.weight is model.get_input_embeddings().weight
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
