"""Judging by one word: the share of a yes, and a model that reads many questions as it reads one."""

import math

import pytest

from stablereward.judges.yes_no import YesNo, first_word, written_shares, yes_share, yes_shares
from stablereward.policies.token import TokenPolicy
from stablereward.types import Completion, Failure, Preference, Prompt


def test_shares_by_hand() -> None:
    assert yes_share(math.log(0.3), math.log(0.1)) == pytest.approx(0.75)
    assert yes_share(-2000.0, 0.0) == pytest.approx(0.0, abs=1e-300)
    assert yes_share(0.0, -2000.0) == 1.0


@pytest.mark.parametrize("lead", [-3.0, 0.0, 0.7])
def test_law_what_both_words_lose_to_others_changes_nothing(lead: float) -> None:
    assert yes_share(lead - 5, -5.0) == pytest.approx(yes_share(lead, 0.0))
    assert yes_share(lead, 0.0) + yes_share(0.0, lead) == pytest.approx(1.0)


def asked(preference: Preference, response: str) -> Prompt:
    return Prompt.user(f"{preference.question}={response}")


def test_law_the_words_exchanged_the_share_is_the_rest() -> None:
    policy = TokenPolicy.load("sums", device="cpu")
    shown = [
        Preference(question="1+1", responses=("2", "3")),
        Preference(question="12+30", responses=("42", "1" * 3000)),
    ]
    plain = YesNo(policy=policy, prompt=asked, yes="1", no="hm")
    turned = YesNo(policy=policy, prompt=asked, yes="hm", no="1")
    a, b = plain.scores(shown), turned.scores(shown)
    assert isinstance(a[1][1], Failure) and a[1][1].reason == "too_long"
    for one, other in ((a[0][0], b[0][0]), (a[0][1], b[0][1]), (a[1][0], b[1][0])):
        assert one + other == pytest.approx(1.0, abs=1e-6)  # type: ignore[operator]
    [alone] = plain.scores([shown[1]])
    assert alone[0] == pytest.approx(a[1][0], abs=1e-5)
    assert plain.tokens_read > 0


def test_the_written_score_by_hand() -> None:
    words = {7: "Yes", 8: " No"}
    for ids, wanted in (((3, 7, 8), 0.4), ((8, 7), 0.0), ((3,), 0.5)):
        written = Completion(text="", token_ids=ids, logprobs=tuple(math.log(0.4) for _ in ids))
        assert first_word(written, words, "Yes") == pytest.approx(wanted)


def test_what_is_written_is_at_most_the_share_or_a_half() -> None:
    """P(yes) of the whole vocabulary is no more than of both words."""
    policy = TokenPolicy.load("sums", device="cpu")
    shown = [Prompt.user(f"{n}+{n}") for n in range(10, 30)]
    shares = yes_shares(policy, shown, yes="1", no="9")
    written = written_shares(policy, shown, yes="1", no="9", num_tokens=1)
    assert len(set(written)) > 2
    for share, one in zip(shares, written, strict=True):
        assert one in (0.0, 0.5) or one <= share  # type: ignore[operator]
