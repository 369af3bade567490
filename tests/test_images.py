"""Images: what is accepted, how it is made upright RGB, and that nothing hostile gets through."""

import base64
import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from stablereward import images
from stablereward.errors import DataError
from stablereward.images import decode_data_url, decode_image, frames, load_image

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def same(a: Image.Image, b: Image.Image) -> bool:
    return a.mode == b.mode == "RGB" and np.array_equal(np.asarray(a), np.asarray(b))


@pytest.mark.parametrize("kind", images.FORMATS)
def test_each_format_is_read_from_a_file(tmp_path, kind):
    file = tmp_path / "picture"
    file.write_bytes(encoded(PICTURE, kind))
    image = load_image(file, "row 1")
    assert (image.mode, image.size) == ("RGB", (30, 20))
    if kind in {"PNG", "BMP"}:
        assert same(image, PICTURE)


def test_an_image_in_memory_is_used_as_it_is():
    assert same(load_image(PICTURE, "row 1"), PICTURE)


def test_exif_orientation_is_applied():
    exif = Image.Exif()
    exif[0x0112] = 6
    image = decode_image(encoded(PICTURE, "PNG", exif=exif), "row 1")
    assert same(image, PICTURE.transpose(Image.Transpose.ROTATE_270))


def test_transparency_is_laid_on_white():
    half_black = Image.new("RGBA", (1, 1), (0, 0, 0, 51))
    assert load_image(half_black, "row").getpixel((0, 0)) == (204, 204, 204)
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([9, 9, 9])
    content = encoded(palette, "PNG", transparency=0)
    assert decode_image(content, "row").getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bit_grey_is_scaled_and_not_clipped():
    grey = Image.fromarray(np.array([[0, 32768, 65535]], dtype=np.uint16))
    image = decode_image(encoded(grey, "PNG"), "row")
    assert [image.getpixel((x, 0))[0] for x in range(3)] == [0, 128, 255]


def test_the_first_frame_of_an_animation():
    content = encoded(
        Image.new("RGB", (4, 4), "red"),
        "GIF",
        save_all=True,
        append_images=[Image.new("RGB", (4, 4), "blue")],
    )
    assert decode_image(content, "row").getpixel((0, 0)) == (255, 0, 0)


def test_a_data_url_with_line_breaks():
    body = base64.encodebytes(encoded(PICTURE, "PNG")).decode()
    assert same(decode_data_url(f"data:image/png;base64,{body}"), PICTURE)


def bomb(width: int, height: int) -> bytes:
    """A few bytes that promise a huge picture."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", b"\x00" * 9)]
    body = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


BAD_URLS = ["", "data:", "data:text/html;base64,AAAA", "data:image/png,AAAA", "https://example.org/a.png"]
BAD_URLS += ["data:image/png;base64,****", "data:image/png;base64,AAAA", "data:image/png;base64,A" * 1000]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (encoded(PICTURE, "TIFF"), "not an image"),
        (encoded(PICTURE, "JPEG")[:-200], "damaged or cut short"),
        (encoded(PICTURE, "PNG")[:-900], "damaged or cut short"),
        (bomb(9000, 9000), "more than 64 million pixels"),
        (bomb(10_000, 10_000), "more than 64 million pixels"),
        (bomb(60_000, 60_000), "more than 64 million pixels"),
    ],
)
def test_what_is_no_good_image_is_refused_in_one_line(content, message):
    with pytest.raises(DataError) as caught:
        decode_image(content, "rows.jsonl:3")
    assert str(caught.value).startswith("rows.jsonl:3: ") and message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path):
    for path in (tmp_path / "absent.png", tmp_path):
        with pytest.raises(DataError, match=f"row 1: image '{path}' cannot be read"):
            load_image(path, "row 1")


def test_too_many_bytes_are_refused_before_decoding(monkeypatch, tmp_path):
    monkeypatch.setattr(images, "MAX_BYTES", 100)
    file = tmp_path / "picture.png"
    file.write_bytes(encoded(PICTURE, "PNG"))
    with pytest.raises(DataError, match="larger than"):
        load_image(file, "row")
    with pytest.raises(DataError, match="larger than"):
        decode_data_url("data:image/png;base64," + "A" * 200)


@pytest.mark.parametrize("text", BAD_URLS)
def test_bad_data_urls_are_refused(text):
    with pytest.raises(DataError, match=r"^data URL: "):
        decode_data_url(text)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_law_altered_bytes_give_an_image_or_a_data_error():
    rng = random.Random(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    seeds = [encoded(PICTURE, kind) for kind in images.FORMATS]
    seeds += [encoded(PICTURE, "JPEG", exif=exif), encoded(PICTURE.convert("RGBA"), "PNG", exif=exif)]
    refused = 0
    for _ in range(1500):
        content = bytearray(rng.choice(seeds))
        for _ in range(rng.choice([1, 3, 10])):
            content[rng.randrange(min(len(content), rng.choice([64, 4096])))] = rng.randrange(256)
        try:
            assert decode_image(bytes(content), "row").mode == "RGB"
        except DataError:
            refused += 1
    assert 0 < refused < 1500


def test_frames_come_in_natural_order(tmp_path):
    for name in ("f10.png", "f2.png", "f1.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / ".f3.png").touch()
    (tmp_path / "f4.png").mkdir()
    assert [file.name for file in frames(tmp_path, "row")] == ["f1.png", "f2.png", "f10.png"]


def test_many_frames_are_thinned_evenly(tmp_path):
    for i in range(63):
        (tmp_path / f"{i}.jpg").touch()
    kept = [int(file.stem) for file in frames(tmp_path, "row")]
    assert kept == list(range(0, 63, 2))


def test_a_folder_without_frames_is_refused(tmp_path):
    with pytest.raises(DataError, match="no images in folder"):
        frames(tmp_path, "row")
