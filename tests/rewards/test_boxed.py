r"""Answers in \boxed{…}: the last one, with the braces inside it."""

import pytest

from stablereward.rewards.boxed import boxed, is_answer


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"so \boxed{12}.", "12"),
        (r"\boxed{1} no, \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{1", None),
        ("12", None),
        ("", None),
    ],
)
def test_the_last_box(text: str, found: str | None) -> None:
    assert boxed(text) == found


def test_spaces_and_dollars_do_not_matter() -> None:
    assert is_answer(r"\boxed{ $1, 2$ }", "1,2")
    assert not is_answer(r"\boxed{12}", "1.2")
    assert not is_answer("12", "12")
