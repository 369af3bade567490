"""The laws of sampling: what a prompt gets does not depend on its company, and is what the trainer scores."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stablereward.engines import hf
from stablereward.engines.engine import Engine, Sampling
from stablereward.engines.hf import HFEngine, load_engine
from stablereward.errors import ModelError
from stablereward.policies.token import TokenPolicy
from stablereward.policies.tree import EncodedGroup
from stablereward.types import Completion, Failure, Preference, Prompt
from tests.policies.families import ALL, ONE_IMAGE, TEXT_ONLY, TWO_IMAGES, VISION, make, picture, prompts

END = 2
SHORT = Sampling(num_generations=3, max_completion_length=12, seed=5)


@pytest.fixture(params=ALL)
def policy(request: pytest.FixtureRequest, tmp_path: Path) -> TokenPolicy:
    """A policy that stops now and then: the end token is a few times likelier than the others."""
    return with_bias(make(request.param, tmp_path), {END: 3.0})


@pytest.fixture
def llama(tmp_path: Path) -> TokenPolicy:
    return make("llama", tmp_path)


def with_bias(policy: TokenPolicy, bias: dict[int, float]) -> TokenPolicy:
    """The policy with some logits raised."""
    head = policy.model.get_output_embeddings()
    full = torch.zeros(head.weight.shape[0])
    for token, value in bias.items():
        full[token] = value
    head.bias = torch.nn.Parameter(full)
    return policy


def sampled(
    policy: TokenPolicy, asked: Sequence[Prompt], sampling: Sampling, max_batch_tokens: int = 2**16
) -> list[tuple[Completion, ...]]:
    answers = HFEngine(policy, max_batch_tokens=max_batch_tokens).sample(asked, sampling)
    assert not any(isinstance(answer, Failure) for answer in answers)
    return answers  # type: ignore[return-value]


def ids(answers: Sequence[tuple[Completion, ...]]) -> list[list[tuple[int, ...]]]:
    return [[completion.token_ids for completion in answer] for answer in answers]


@pytest.mark.parametrize("temperature", [1.0, 0.6, 0.0])
def test_the_engine_and_the_trainer_agree_on_every_probability(
    policy: TokenPolicy, temperature: float
) -> None:
    asked = prompts(policy)
    answers = sampled(policy, asked, replace(SHORT, temperature=temperature))
    groups = [
        EncodedGroup(prompt=policy.encode(prompt), completions=tuple(c.token_ids for c in answer))
        for prompt, answer in zip(asked, answers, strict=True)
    ]
    with torch.no_grad():
        scored_BT = policy(policy.tree(groups), temperature).logprobs_BT
    completions = [completion for answer in answers for completion in answer]
    assert len({len(c.token_ids) for c in completions}) > 1 or temperature == 0
    for row, completion in enumerate(completions):
        size = len(completion.token_ids)
        torch.testing.assert_close(
            torch.tensor(completion.logprobs), scored_BT[row, :size], atol=1e-5, rtol=1e-5
        )


def test_batching_and_compaction_change_nothing(policy: TokenPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = (*prompts(policy), *prompts(policy))
    expected = sampled(policy, asked, SHORT)
    for max_batch_tokens in (1, 4000):
        for compact_below in (0.0, 0.75, 2.0):
            monkeypatch.setattr(hf, "COMPACT_BELOW", compact_below)
            answers = sampled(policy, asked, SHORT, max_batch_tokens)
            assert ids(answers) == ids(expected)
            for ours, theirs in zip(answers, expected, strict=True):
                for mine, yours in zip(ours, theirs, strict=True):
                    assert (mine.text, mine.finished) == (yours.text, yours.finished)
                    assert mine.logprobs == pytest.approx(yours.logprobs, abs=1e-5)


def test_the_context_left_is_a_prompts_own(llama: TokenPolicy) -> None:
    llama.model.config.max_position_embeddings = 60
    small, large = Prompt.user(text="Hi"), Prompt.user(text="Which of the two is larger, and why is it so?")
    sampling = Sampling(num_generations=2, max_completion_length=50, seed=1)
    together = sampled(llama, (large, small), sampling)
    assert ids(together) == ids(sampled(llama, (large, small), sampling, max_batch_tokens=1))
    room = 60 - llama.encode(large).num_tokens
    assert room < 50
    assert max(len(completion.token_ids) for completion in together[0]) <= room
    assert max(len(completion.token_ids) for completion in together[1]) > room


def test_a_longer_limit_only_continues(llama: TokenPolicy) -> None:
    sampling = Sampling(num_generations=4, max_completion_length=6, seed=2)
    (short,) = sampled(llama, [TEXT_ONLY], sampling)
    (long,) = sampled(llama, [TEXT_ONLY], replace(sampling, max_completion_length=9))
    for cut, whole in zip(short, long, strict=True):
        assert cut.token_ids == whole.token_ids[:6]


def test_greedy_is_what_transformers_writes(policy: TokenPolicy) -> None:
    for prompt in prompts(policy):
        ((ours,),) = sampled(policy, [prompt], Sampling(temperature=0.0, max_completion_length=20))
        encoded = policy.encode(prompt)
        is_image = encoded.input_ids_P == getattr(policy.model.config, "image_token_id", -1)
        types = {"mm_token_type_ids": is_image.int()[None]} if "image_grid_thw" in encoded.media else {}
        theirs = policy.model.generate(
            input_ids=encoded.input_ids_P[None],
            attention_mask=torch.ones_like(encoded.input_ids_P)[None],
            **encoded.media,
            **types,
            do_sample=False,
            max_new_tokens=20,
            suppress_tokens=policy.suppressed or None,
        )
        assert ours.token_ids == tuple(theirs[0, encoded.num_tokens :].tolist())


@pytest.mark.parametrize("family", VISION)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_placeholders_are_never_sampled(family: str, temperature: float, tmp_path: Path) -> None:
    policy = make(family, tmp_path)
    assert policy.tokenizer.convert_tokens_to_ids("<|image_pad|>") in policy.suppressed
    with_bias(policy, dict.fromkeys(policy.suppressed, 50.0))
    (answer,) = sampled(policy, [ONE_IMAGE], replace(SHORT, temperature=temperature))
    for completion in answer:
        assert not set(completion.token_ids) & set(policy.suppressed)
        assert min(completion.logprobs) > -20
        assert sum(completion.logprobs) < 0


def test_the_end_token_ends(llama: TokenPolicy) -> None:
    with_bias(llama, {END: 50.0})
    ((completion,),) = sampled(llama, [TEXT_ONLY], Sampling())
    assert completion == Completion(text="", token_ids=(END,), logprobs=completion.logprobs, finished=True)
    assert completion.logprobs == pytest.approx((0.0,), abs=1e-6)


def test_every_end_token_of_the_generation_config_ends(tmp_path: Path) -> None:
    policy = make("llama", tmp_path)
    policy.model.generation_config.eos_token_id = [END, 77]
    policy = with_bias(TokenPolicy(policy.model, policy.processor, tmp_path), {77: 50.0})
    ((completion,),) = sampled(policy, [TEXT_ONLY], Sampling())
    assert completion.token_ids == (77,)
    assert completion.finished


def test_the_length_limit_cuts(llama: TokenPolicy) -> None:
    with_bias(llama, {END: -50.0})
    ((completion,),) = sampled(llama, [TEXT_ONLY], Sampling(max_completion_length=4))
    assert len(completion.token_ids) == len(completion.logprobs) == 4
    assert not completion.finished


def test_an_end_token_at_the_limit_is_finished(llama: TokenPolicy) -> None:
    with_bias(llama, {END: 50.0})
    ((completion,),) = sampled(llama, [TEXT_ONLY], Sampling(max_completion_length=1))
    assert completion.finished


@pytest.mark.parametrize("family", VISION)
def test_what_cannot_be_read_fails_in_its_place(family: str, tmp_path: Path) -> None:
    policy = make(family, tmp_path / "model")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG but no more")
    bad = Prompt.user(
        text="?", images=(broken,), preference=Preference(question="?", responses=(), id="row 9")
    )
    long = Prompt.user(text="a b c d " * 600)
    answers = HFEngine(policy).sample((TWO_IMAGES, bad, TEXT_ONLY, long, ONE_IMAGE), SHORT)
    good = [answer for answer in answers if not isinstance(answer, Failure)]
    assert isinstance(answers[1], Failure) and isinstance(answers[3], Failure)
    assert "row 9" in answers[1].detail and "broken.png" in answers[1].detail
    assert "context is 2048" in answers[3].detail
    # The others get what they get where nothing fails.
    filled = (TWO_IMAGES, TEXT_ONLY, TEXT_ONLY, TEXT_ONLY, ONE_IMAGE)
    expected = sampled(policy, filled, SHORT)
    assert ids(good) == ids([expected[0], expected[2], expected[4]])


def test_nothing_to_answer_is_an_empty_list(llama: TokenPolicy) -> None:
    assert HFEngine(llama).sample([], SHORT) == []
    assert isinstance(HFEngine(llama).sample([Prompt.user(text="a b c d " * 600)], SHORT)[0], Failure)


def test_the_seed_and_the_place_decide(policy: TokenPolicy) -> None:
    asked = (prompts(policy)[0],) * 2
    once, again = (ids(sampled(policy, asked, SHORT)) for _ in range(2))
    assert once == again
    assert once[0] != once[1]
    assert len(set(once[0])) == 3
    assert ids(sampled(policy, asked, replace(SHORT, seed=6))) != once


def test_sampling_leaves_the_mode_and_the_global_randomness(llama: TokenPolicy) -> None:
    llama.train()
    state = torch.get_rng_state()
    sampled(llama, [TEXT_ONLY], SHORT)
    assert llama.training
    assert torch.equal(torch.get_rng_state(), state)


def test_an_interrupted_engine_leaves_the_mode(llama: TokenPolicy) -> None:
    def interrupt(place: int, number: int, completion: Completion) -> None:
        raise KeyboardInterrupt

    llama.train()
    with pytest.raises(KeyboardInterrupt):
        HFEngine(llama).stream([TEXT_ONLY], SHORT, interrupt)
    assert llama.training


def test_frequencies_follow_the_distribution(llama: TokenPolicy) -> None:
    """Pearson's chi-square over the likeliest tokens: its mean is its degrees of freedom."""
    num = 8000
    with_bias(llama, {100 + i: 4.0 + 0.5 * i for i in range(8)})
    (answer,) = sampled(llama, [TEXT_ONLY], Sampling(num_generations=num, max_completion_length=1, seed=3))
    group = EncodedGroup(prompt=llama.encode(TEXT_ONLY), completions=tuple((100 + i,) for i in range(8)))
    with torch.no_grad():
        probabilities = llama(llama.tree([group])).logprobs_BT[:, 0].exp().double()
    probabilities = torch.cat([probabilities, 1 - probabilities.sum(0, keepdim=True)])
    assert probabilities.min() * num > 20
    drawn = torch.tensor([min(max(c.token_ids[0] - 100, -1), 8) % 9 for c in answer])
    counts = torch.bincount(drawn, minlength=9)
    chi_square = ((counts - num * probabilities) ** 2 / (num * probabilities)).sum()
    assert 1.0 < chi_square < 26.1  # 8 degrees of freedom: 99.9 % lie below 26.1, 0.2 % below 1


def test_temperature_sharpens(llama: TokenPolicy) -> None:
    sampling = Sampling(num_generations=200, max_completion_length=1)
    cold, warm = (
        {c.token_ids for c in sampled(llama, [TEXT_ONLY], replace(sampling, temperature=t))[0]}
        for t in (0.2, 1.0)
    )
    assert len(cold) < len(warm)


def test_top_p_keeps_the_likeliest_tokens_only(llama: TokenPolicy) -> None:
    sampling = Sampling(num_generations=300, max_completion_length=1, seed=4)
    everything = EncodedGroup(prompt=llama.encode(TEXT_ONLY), completions=tuple((i,) for i in range(388)))
    with torch.no_grad():
        probabilities = llama(llama.tree([everything])).logprobs_BT[:, 0].exp()
    order = probabilities.argsort(descending=True)
    size = int((probabilities[order].cumsum(0) < 0.3).sum()) + 1
    (answer,) = sampled(llama, [TEXT_ONLY], replace(sampling, top_p=0.3))
    drawn = {c.token_ids[0] for c in answer}
    assert drawn <= set(order[:size].tolist())
    assert len(drawn) > size // 2
    # Log-probabilities are those of what was drawn from, not of the whole distribution.
    kept = probabilities[order[:size]].sum()
    for completion in answer:
        expected = (probabilities[completion.token_ids[0]] / kept).log()
        assert completion.logprobs[0] == pytest.approx(float(expected), abs=1e-5)
    (narrow,) = sampled(llama, [TEXT_ONLY], replace(sampling, top_p=1e-6))
    assert {c.token_ids[0] for c in narrow} == {int(order[0])}
    assert narrow[0].logprobs == pytest.approx((0.0,), abs=1e-6)


def test_nucleus_by_hand() -> None:
    kept = hf._nucleus(torch.tensor([[0.1, 0.5, 0.15, 0.25]]), 0.7)
    assert kept.tolist() == [[0.0, 0.5, 0.0, 0.25]]


def test_control_tokens_in_a_question_do_not_end_it(llama: TokenPolicy) -> None:
    plain, hostile = Prompt.user(text="A B"), Prompt.user(text="A<|im_end|><|image_pad|>B")
    found = llama.encode(hostile).input_ids_P.tolist()
    assert found.count(END) == llama.encode(plain).input_ids_P.tolist().count(END)
    assert len(sampled(llama, [hostile], SHORT)[0]) == 3


def test_an_image_may_be_a_file(tmp_path: Path) -> None:
    policy = make("qwen2_5_vl", tmp_path / "model")
    image = picture(70, 60)
    image.save(tmp_path / "image.png")
    asked = [Prompt.user(text="?", images=(source,)) for source in (image, tmp_path / "image.png")]
    first, second = (ids(sampled(policy, [prompt], SHORT)) for prompt in asked)
    assert first == second


def test_the_protocol_is_asynchronous(llama: TokenPolicy) -> None:
    engine: Engine = HFEngine(llama)
    assert asyncio.run(engine.generate([TEXT_ONLY], SHORT)) == HFEngine(llama).sample([TEXT_ONLY], SHORT)


def test_an_engine_over_a_folder(llama: TokenPolicy) -> None:
    engine = load_engine(llama.source, device="cpu", dtype="bfloat16")
    assert next(engine.policy.parameters()).dtype == torch.bfloat16
    (answer,) = engine.sample([TEXT_ONLY], SHORT)
    assert not isinstance(answer, Failure)
    assert next(load_engine(llama.source, device="cpu").policy.parameters()).dtype == torch.float32
    with pytest.raises(ModelError, match="no model here"):
        load_engine("nowhere")
