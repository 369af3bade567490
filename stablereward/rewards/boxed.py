"""Answers in a box, as solutions of mathematics end: found in a text and compared as text."""


def boxed(text: str) -> str | None:
    r"""What the last \boxed{…} holds; None where there is none that ends."""
    start = text.rfind(r"\boxed{")
    if start < 0:
        return None
    start += len(r"\boxed{")
    depth = 1
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[start:place]
    return None


def is_answer(text: str, answer: str) -> bool:
    """Whether the text's box holds the answer, spaces and dollar signs aside."""
    found = boxed(text)
    return found is not None and _plain(found) == _plain(answer)


def _plain(text: str) -> str:
    return "".join(text.replace("$", "").split())
