"""The pictures that rows of benchmarks name."""

from pathlib import Path

import pytest
from PIL import Image

from stablereward.errors import DataError
from stablereward.evaluation.media import Pictures
from stablereward.types import pictured


def image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (2, 2)).save(path)


def test_a_response_holds_its_texts_images_and_frames_in_order(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    for name in ("f10.png", "f2.png", "f1.png"):
        image(tmp_path / "clip" / name)
    found = Pictures(tmp_path, "row", require_images=True)
    a, clip = tmp_path / "a.png", [tmp_path / "clip" / f"f{n}.png" for n in (1, 2, 10)]
    assert found.response([("text", "See"), ("image", "a.png")]) == pictured("See", "\n", a)
    assert list(found.video("clip.mp4")) == clip
    question = [("image", "a.png"), ("text", "Which?"), ("image", "clip")]
    assert found.named(question) == ("[Image 1]\nWhich?\n[Images 2 to 4]", (a, *clip))


def test_absent_images_are_named_or_allowed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 3: image .*a\.png' does not exist"):
        Pictures(tmp_path, "row 3", require_images=True).image("a.png")
    assert Pictures(tmp_path, "row 3", require_images=False).image("a.png") == (tmp_path / "a.png",)
