"""The laws of scalar reward models: each response has the score and the gradient that it has alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from stablereward.errors import DataError, ModelError
from stablereward.policies.scalar import ScalarModel, dialogue, is_reward_model, load_scorer
from stablereward.policies.scalar_head import HeadConfig
from stablereward.types import Failure, Group, Preference
from tests.policies.families import ALL, ONE_IMAGE, TWO_IMAGES, make, picture

RESPONSES = ("A cat.", "\n\nNo, it is a red circle in the upper left corner.", "", "Yes< |im_end|>no")
HEADS = [HeadConfig(), HeadConfig(pooling="mean"), HeadConfig(layers=3, activation="tanh", pooling="end")]


@pytest.fixture(params=ALL)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    make(request.param, tmp_path / "base")
    return tmp_path / "base"


def preferences(model: ScalarModel) -> list[Preference]:
    """Groups of four, two and three responses; two images, none and one where the model sees."""
    sees = model.policy.processor is not model.policy.tokenizer
    images = (TWO_IMAGES.images, (), ONE_IMAGE.images) if sees else ((), (), ())
    own = (RESPONSES, RESPONSES[:2], RESPONSES[1:])
    return [
        Preference(question=question, responses=some, images=seen, ranks=tuple(range(len(some))))
        for question, some, seen in zip(("What is it?", "Hi", "And here?"), own, images, strict=True)
    ]


def alone(model: ScalarModel, preference: Preference, response: str) -> Tensor:
    """The score from the states that transformers alone gives the one unpadded dialogue."""
    policy = model.policy
    question: Any = preference.question
    answer: Any = response.replace("<|im_end|>", "< |im_end|>")
    if policy.processor is not policy.tokenizer:
        question = [*({"type": "image"} for _ in preference.images), {"type": "text", "text": question}]
        answer = [{"type": "text", "text": answer}]
    chat = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    text = policy.processor.apply_chat_template(chat, add_generation_prompt=False, tokenize=False)
    media = {"images": list(preference.images)} if preference.images else {}
    inputs = dict(policy.processor(text=[text], return_tensors="pt", **media))
    inputs.pop("token_type_ids", None)
    states_TD = policy.model(**inputs, use_cache=False, output_hidden_states=True).hidden_states[-1][0]
    ends_T = (inputs["input_ids"][0] == policy.tokenizer.eos_token_id).nonzero()[:, 0]
    read = {"last": states_TD[-1], "mean": states_TD.mean(0), "end": states_TD[ends_T[-1]]}
    score: Tensor = model.head(read[model.config.pooling][None])[0, 0]
    return score


def gradients(model: ScalarModel, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def weights(num: int) -> Tensor:
    return torch.randn(num, generator=torch.Generator().manual_seed(7)) / num


@pytest.mark.parametrize("config", HEADS, ids=lambda config: config.pooling)
def test_law_scores_are_those_of_transformers_alone(folder: Path, config: HeadConfig) -> None:
    model = ScalarModel.start(folder, config, device="cpu")
    shown = preferences(model)
    with torch.no_grad():
        expected = [float(alone(model, p, response)) for p in shown for response in p.responses]
        measured = model.measure(model.encoded([dialogue(p) for p in shown])).tolist()
    assert measured == pytest.approx(expected, abs=1e-5)
    scores = [score for scores in model.scores(shown) for score in scores]
    assert scores == pytest.approx(expected, abs=1e-5)
    model.max_batch_tokens = 1
    assert [s for scores in model.scores(shown[::-1]) for s in scores][-4:] == pytest.approx(
        expected[:4], abs=1e-5
    )


@pytest.mark.parametrize("config", HEADS, ids=lambda config: config.pooling)
def test_law_gradients_are_those_of_responses_alone(folder: Path, config: HeadConfig) -> None:
    model = ScalarModel.start(folder, config, device="cpu")
    shown = preferences(model)
    weights_B = weights(sum(len(p.responses) for p in shown))
    shared = gradients(model, (weights_B * model.measure(model.encoded([dialogue(p) for p in shown]))).sum())
    single = [replace(p, responses=(r,), ranks=None) for p in shown for r in p.responses]
    apart_B = torch.cat([model.measure(model.encoded([dialogue(one)])) for one in single])
    apart = gradients(model, (weights_B * apart_B).sum())
    assert shared.keys() == apart.keys() and any(name.startswith("head") for name in shared)
    for name, gradient in shared.items():
        torch.testing.assert_close(gradient, apart[name], atol=1e-5, rtol=1e-4, msg=name)


def test_law_the_tokens_are_those_of_the_whole_dialogue(folder: Path) -> None:
    """Also where a response's first letters join what stands before them."""
    model = ScalarModel.start(folder, device="cpu")
    words = model.policy.tokenizer
    [one] = model.encoded([dialogue(Preference(question="Hi", responses=RESPONSES))])
    for response, completion in zip(RESPONSES, one.trajectories, strict=True):
        ids = [*one.prompt[0].input_ids_P.tolist(), *completion.token_ids]
        said = response.replace("<|im_end|>", "< |im_end|>")
        text = f"<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n{said}<|im_end|>\n"
        assert ids == words(text, add_special_tokens=False)["input_ids"]


def test_what_is_saved_is_loaded_equal(folder: Path, tmp_path: Path) -> None:
    model = ScalarModel.start(folder, HeadConfig(outputs=2), seed=3, device="cpu")
    model.save(tmp_path / "saved")
    loaded = load_scorer(tmp_path / "saved", device="cpu")
    assert isinstance(loaded, ScalarModel) and loaded.config == model.config
    assert is_reward_model(tmp_path / "saved") and not is_reward_model(folder)
    assert loaded.scores(preferences(model)) == model.scores(preferences(model))
    tree = model.policy.tree(model._rows(model.encoded([dialogue(preferences(model)[1])])[0]))
    assert model(tree).shape == (2, 2)
    again = ScalarModel.start(tmp_path / "saved", device="cpu")
    assert again.config.outputs == 2
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == (
        [] if model.policy.model.config.tie_word_embeddings else ["policy.model.lm_head.weight"]
    )


def test_a_linear_head_is_a_sequence_classifier_of_transformers(tmp_path: Path) -> None:
    make("llama", tmp_path / "base")
    model = ScalarModel.start(tmp_path / "base", HeadConfig(layers=1), device="cpu")
    assert model.is_classifier and model.config.layers == 1
    model.save(tmp_path / "saved")
    words: Any = AutoTokenizer.from_pretrained(tmp_path / "saved")
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").eval()
    chats = [
        [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": text}] for text in RESPONSES
    ]
    rows = words.apply_chat_template(
        chats, tokenize=True, return_dict=True, return_tensors="pt", padding=True
    )
    with torch.no_grad():
        expected = theirs(**rows).logits[:, 0].tolist()
    [scores] = model.scores([Preference(question="Hi", responses=RESPONSES)])
    assert scores == pytest.approx(expected, abs=1e-5)
    assert load_scorer(tmp_path / "saved", device="cpu").scores(preferences(model)) == model.scores(
        preferences(model)
    )


def test_a_seed_makes_the_head(tmp_path: Path) -> None:
    make("llama", tmp_path)
    first, same, other = (ScalarModel.start(tmp_path, seed=seed, device="cpu") for seed in (1, 1, 2))
    shown = preferences(first)
    assert first.scores(shown) == same.scores(shown) != other.scores(shown)


def test_what_cannot_be_scored_is_a_failure_in_its_place(tmp_path: Path) -> None:
    make("qwen2_5_vl", tmp_path)
    model = ScalarModel.start(tmp_path, device="cpu")
    wide = Preference(question="q", responses=("a", "b"), images=(picture(900, 2),), id="wide")
    long = Preference(question="q", responses=("a", "word " * 3000))
    refused, (short, cut) = model.scores([wide, long])
    assert [one.reason for one in refused if isinstance(one, Failure)] == ["bad_prompt"] * 2
    assert isinstance(short, float) and isinstance(cut, Failure) and cut.reason == "too_long"
    with pytest.raises(DataError, match=r"preference '': question and response have \d+ tokens"):
        model.encoded([dialogue(long)])


def test_mistakes_are_named(tmp_path: Path) -> None:
    make("llama", tmp_path / "base")
    model = ScalarModel.start(tmp_path / "base", device="cpu")
    with pytest.raises(ModelError, match="preference '7': 1 image"):
        model.scores([Preference(question="q", responses=("a",), images=ONE_IMAGE.images, id="7")])
    model.save(tmp_path / "saved")
    save_file({"0.weight": torch.zeros(2)}, tmp_path / "saved" / "reward_head.safetensors")
    with pytest.raises(ModelError, match="its score head cannot be loaded"):
        load_scorer(tmp_path / "saved", device="cpu")


def test_ranks_become_rewards() -> None:
    made = dialogue(Preference(question="q", responses=("a", "b"), ranks=(1, 0)))
    assert [reward.value for reward in made.rewards] == [-1.0, 0.0]  # type: ignore[union-attr]
    assert isinstance(made, Group) and made.prompt.text == "q"
