import base64
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from stablereward.report.media import MAX_SHOWN, embed, pictures, response
from stablereward.report.run import Picture

from .reading import Reader


def opened(address: str) -> Image.Image:
    return Image.open(BytesIO(base64.b64decode(address.partition(",")[2])))


def test_a_small_image_keeps_its_pixels(tmp_path: Path):
    image = Image.effect_noise((84, 84), 90).convert("RGB")
    image.save(tmp_path / "a.png")
    address, size = embed(tmp_path / "a.png")
    assert address.startswith("data:image/png;base64,")
    assert size == (84, 84)
    assert opened(address).tobytes() == image.tobytes()


def test_a_photograph_becomes_small(tmp_path: Path):
    Image.linear_gradient("L").resize((1600, 800)).save(tmp_path / "a.jpg")
    address, size = embed(tmp_path / "a.jpg")
    assert address.startswith("data:image/jpeg;base64,")
    assert size == opened(address).size == (320, 160)


def test_what_is_behind_a_transparent_photograph_is_white(tmp_path: Path):
    Image.new("RGBA", (400, 400), (0, 0, 0, 0)).save(tmp_path / "a.png")
    address, _ = embed(tmp_path / "a.png")
    assert opened(address).getpixel((5, 5)) == (255, 255, 255)


def test_metadata_stays_behind(tmp_path: Path):
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    Image.new("RGB", (500, 500)).save(tmp_path / "a.jpg", exif=exif)
    address, _ = embed(tmp_path / "a.jpg")
    assert not opened(address).getexif()


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_a_broken_image_is_none(tmp_path: Path, content: bytes):
    (tmp_path / "a.png").write_bytes(content)
    assert embed(tmp_path / "a.png") is None


def test_a_cut_image_is_none(tmp_path: Path):
    Image.effect_noise((100, 100), 90).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[: len(content) // 2])
    assert embed(tmp_path / "a.png") is None


def test_an_image_of_excessive_size_is_none(tmp_path: Path):
    Image.new("1", (12_000, 12_000)).save(tmp_path / "a.png")
    assert embed(tmp_path / "a.png") is None


@pytest.mark.parametrize("name", ["../secret.png", "{outside}", "link.png", "absent.png", "nul\0.png"])
def test_only_images_inside_the_run_are_embedded(tmp_path: Path, name: str):
    outside = tmp_path / "secret.png"
    Image.new("RGB", (9, 9)).save(outside)
    run = tmp_path / "run"
    run.mkdir()
    (run / "link.png").symlink_to(outside)
    read = Reader(pictures(run, [name.replace("{outside}", str(outside))]))
    assert not read.named("img")
    assert "no image" in read.text


def test_a_response_shows_its_texts_and_pictures_in_order(tmp_path: Path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    shown = response(tmp_path, ["See <b>", Picture(image="a.png"), Picture(image="a.png"), "end"])
    read = Reader(shown)
    assert len(read.named("img")) == 2 and len(read.named("div", "pictures")) == 1
    assert read.text.index("See <b>") < read.text.index("end")
    assert Reader(response(tmp_path, "a text")).text.strip() == "a text"


def test_many_frames_are_counted_not_all_shown(tmp_path: Path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    read = Reader(pictures(tmp_path, ["a.png"] * (MAX_SHOWN + 3)))
    assert len(read.named("img")) == MAX_SHOWN
    assert "and 3 more images" in read.text
