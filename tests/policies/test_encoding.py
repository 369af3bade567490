"""Prompts encoded together are what they are alone."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from stablereward.errors import DataError
from stablereward.policies import encoding
from stablereward.policies.token import TokenPolicy
from stablereward.policies.tree import EncodedPrompt
from stablereward.types import Prompt
from tests.policies.families import ALL, VISION, make, picture, prompts


@pytest.fixture(params=ALL)
def policy(request: pytest.FixtureRequest, tmp_path: Path) -> TokenPolicy:
    return make(request.param, tmp_path)


def again(policy: TokenPolicy) -> TokenPolicy:
    """The same policy that has not seen a prompt."""
    return TokenPolicy(policy.model, policy.processor, policy.source)


def assert_equal(found: EncodedPrompt | DataError, expected: EncodedPrompt) -> None:
    assert isinstance(found, EncodedPrompt)
    torch.testing.assert_close(found.input_ids_P, expected.input_ids_P)
    torch.testing.assert_close(found.positions_AP, expected.positions_AP)
    torch.testing.assert_close(found.media, expected.media)


@pytest.mark.parametrize("together", [1, 2, 64])
def test_together_is_as_alone(policy: TokenPolicy, together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "TOGETHER", together)
    asked = [*prompts(policy), prompts(policy)[0], Prompt.user(text="One more, after all")]
    found = again(policy).encode_all(asked)
    assert len(found) == len(asked) == 5
    for one, prompt in zip(found, asked, strict=True):
        assert_equal(one, policy.encode(prompt))


def test_each_is_prepared_once(policy: TokenPolicy) -> None:
    asked = prompts(policy)
    found = policy.encode_all(asked)
    assert all(policy.encode(prompt) is one for prompt, one in zip(asked, found, strict=True))
    assert all(a is b for a, b in zip(policy.encode_all(asked), found, strict=True))


@pytest.mark.parametrize("family", VISION[:2])
def test_what_cannot_be_encoded_is_alone(family: str, tmp_path: Path) -> None:
    policy = make(family, tmp_path)
    wide = Prompt.user(text="How wide?", images=(Image.new("RGB", (2800, 4)),))
    long = Prompt.user(text="word " * 3000, images=(picture(64, 64),))
    good = prompts(policy)
    found = policy.encode_all([good[0], wide, good[1], long])
    assert_equal(found[0], again(policy).encode(good[0]))
    assert_equal(found[2], again(policy).encode(good[1]))
    assert isinstance(found[1], DataError) and "processor refuses" in str(found[1])
    assert isinstance(found[3], DataError) and "context" in str(found[3])
