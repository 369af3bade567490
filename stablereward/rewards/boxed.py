"""Answers in a box, as solutions of mathematics end: found in a text and compared as text."""

from stablereward.data.parsing import boxed as span_of


def boxed(text: str) -> str | None:
    r"""What the last \boxed{…} holds; None where there is none that ends."""
    span = span_of(text)
    return None if span is None else text[slice(*span)]


def is_answer(text: str, answer: str) -> bool:
    """Whether the text's box holds the answer, spaces and dollar signs aside."""
    found = boxed(text)
    return found is not None and _plain(found) == _plain(answer)


def _plain(text: str) -> str:
    return "".join(text.replace("$", "").split())
