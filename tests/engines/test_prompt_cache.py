"""Both caches write the same text, whoever finishes first."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stablereward.engines import hf
from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.engines.prompt_cache import SharedCache, cache_name
from stablereward.policies.token import TokenPolicy
from stablereward.types import Failure
from tests.policies.families import ALL, make, prompts


@pytest.fixture(params=ALL)
def policy(request: pytest.FixtureRequest, tmp_path: Path) -> TokenPolicy:
    return make(request.param, tmp_path)


@pytest.mark.parametrize("compact_below", [0.0, 2.0])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_shared_and_copied_prompts_give_the_same_samples(
    policy: TokenPolicy, temperature: float, compact_below: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hf, "COMPACT_BELOW", compact_below)
    policy.stop_ids = list(range(0, 380, 9))  # every sample ends somewhere else
    sampling = Sampling(num_generations=4, max_completion_length=14, temperature=temperature, seed=3)
    engine = HFEngine(policy)
    shared = engine.sample(prompts(policy), sampling)
    policy.shares_prompts = False
    copied = engine.sample(prompts(policy), sampling)
    for ours, theirs in zip(shared, copied, strict=True):
        assert not isinstance(ours, Failure) and not isinstance(theirs, Failure)
        for mine, yours in zip(ours, theirs, strict=True):
            assert replace(mine, logprobs=()) == replace(yours, logprobs=())
            assert mine.logprobs == pytest.approx(yours.logprobs, abs=1e-5)


@pytest.mark.parametrize("look_every", [3, 100])
def test_looking_less_often_changes_nothing(
    policy: TokenPolicy, look_every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy.stop_ids = list(range(0, 380, 9))
    sampling = Sampling(num_generations=4, max_completion_length=14, seed=3)
    expected = HFEngine(policy).sample(prompts(policy), sampling)
    start = hf._Decoding.__init__

    def patient(self: hf._Decoding, *args: object, **others: object) -> None:
        start(self, *args, **others)  # type: ignore[arg-type]
        self.look_every = look_every

    monkeypatch.setattr(hf._Decoding, "__init__", patient)
    found = HFEngine(policy).sample(prompts(policy), sampling)
    assert [[c.token_ids for c in a] for a in found] == [[c.token_ids for c in a] for a in expected]  # type: ignore[union-attr]


class _Newer:
    def forward(self, input_ids: object, cache: object = None, **others: object) -> None: ...


class _Older:
    def forward(self, input_ids: object, past_key_values: object = None, **others: object) -> None: ...


def test_a_forward_is_given_its_cache_by_the_name_it_has() -> None:
    assert cache_name(_Newer()) == "cache"
    assert cache_name(_Older()) == "past_key_values"


def test_what_is_kept_by_hand() -> None:
    """Two prompts of two samples; the second sample of the first and both of the second stay."""
    cache = SharedCache(torch.tensor([1, 2]))
    of_prompts = torch.tensor([[1.0, 0.0], [2.0, 3.0]])[:, None, :, None]
    cache.update(of_prompts, of_prompts, 0)
    cache.branch(2, capacity=3)
    cache.grow()
    written = torch.tensor([10.0, 11.0, 20.0, 21.0])[:, None, None, None]
    cache.update(written, written, 0)
    cache.keep(torch.tensor([1, 2, 3]))
    assert cache.places_S is not None and cache.places_S.tolist() == [0, 2, 3]
    kept = cache.own[0][0][:, 0, :, 0, 0]
    assert kept[0, 0] == 11.0 and kept[1].tolist() == [20.0, 21.0]
    # A query of zero sees all alike: the mean over the prompt and the sample's own token, padding left out.
    zero = torch.zeros(3, 1, 1, 1)
    out = cache.attend(0, zero, zero, zero, None)
    torch.testing.assert_close(out.flatten(), torch.tensor([12 / 2, 25 / 3, 26 / 3]))
    cache.keep(torch.tensor([2]))
    assert cache.places_S is None and cache.padding_RP is not None
    torch.testing.assert_close(
        cache.attend(0, zero[:1], zero[:1], zero[:1], None).flatten(), torch.tensor([26 / 3])
    )


def test_the_tokens_before_the_next_are_counted() -> None:
    cache = SharedCache(torch.tensor([2]))
    assert cache.get_seq_length() == 0
    states = torch.zeros(1, 1, 2, 4)
    cache.update(states, states, 0)
    cache.branch(1, capacity=3)
    cache.grow()
    assert cache.get_seq_length() == 2
