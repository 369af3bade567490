"""Responses in words and as keys."""

from pathlib import Path

from PIL import Image

from stablereward.data.responses import in_words, response_keys
from stablereward.types import Preference, pictured


def keys(*responses: object) -> list[str]:
    return response_keys(Preference(question="Q?", responses=responses))  # type: ignore[arg-type]


def test_pictures_are_named_among_the_words() -> None:
    assert in_words("a text") == "a text"
    assert in_words(pictured("See ", Path("a.png"), "!")) == "See [picture]!"


def test_a_text_is_its_own_key() -> None:
    assert keys("one", "[picture]") == ["one", "[picture]"]


def test_keys_are_the_same_wherever_the_data_lies() -> None:
    def at(root: str) -> list[str]:
        return keys(pictured(Path(root, "a/1.png"), Path(root, "a/2.png")), pictured(Path(root, "b/1.png")))

    assert at("/data") == at("elsewhere/images")
    assert len(set(at("/data"))) == 2  # though both begin with a frame called 1.png


def test_pictures_in_memory_are_known_by_their_pixels() -> None:
    red, blue = Image.new("RGB", (2, 2), "red"), Image.new("RGB", (2, 2), "blue")
    first, second, third = keys(pictured(red), pictured(blue), pictured(red.copy()))
    assert first == third != second
