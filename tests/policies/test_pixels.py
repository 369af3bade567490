"""What a model sees of kept bytes is what the processor makes of the image, bit by bit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stablereward.errors import ModelError
from stablereward.policies.pixels import ByteTable, Media, PackedMedia, joined, moved, num_bytes
from stablereward.policies.token import TokenPolicy
from stablereward.types import Prompt
from tests.policies.families import make, picture

QWEN = ["qwen2_5_vl", "qwen3_vl"]
SIZES = [(56, 56), (61, 113), (200, 30), (29, 31)]


def shown(policy: TokenPolicy, images: list[Image.Image]) -> Media:
    """What the model gets of one prompt for each image, packed."""
    asked = [Prompt.user(text="What is it?", images=(image,)) for image in images]
    return joined([policy.encode(prompt).media for prompt in asked])


@pytest.mark.parametrize("family", QWEN)
def test_bit_by_bit(family: str, tmp_path: Path) -> None:
    policy = make(family, tmp_path)
    images = [picture(*size, seed) for seed, size in enumerate(SIZES)]
    found = shown(policy, images)
    expected = policy.processor.image_processor(images=images, return_tensors="pt")
    assert found.keys() == expected.keys()
    for name, value in found.items():
        assert value.dtype == expected[name].dtype
        assert torch.equal(value, expected[name])


def test_every_byte_has_its_own_number(tmp_path: Path) -> None:
    policy = make("qwen2_5_vl", tmp_path)
    images = policy.processor.image_processor
    images.image_mean, images.image_std = [0.1, 0.5, 0.9], [0.2, 0.3, 0.4]
    ramp = Image.fromarray((np.arange(112 * 112 * 3) // 3 % 256).astype(np.uint8).reshape(112, 112, 3))
    again = TokenPolicy(policy.model, policy.processor, policy.source)
    expected = images(images=[ramp], return_tensors="pt")["pixel_values"]
    assert torch.equal(shown(again, [ramp])["pixel_values"], expected)


def test_an_eighth_is_kept(tmp_path: Path) -> None:
    policy = make("qwen2_5_vl", tmp_path)
    encoded = policy.encode(Prompt.user(text="What is it?", images=(picture(112, 112),)))
    pixels, grid = encoded.media["pixel_values"], encoded.media["image_grid_thw"]
    assert pixels.shape == (64, 3 * 2 * 14 * 14)
    assert num_bytes(encoded.media) == pixels.nbytes // 8 + grid.nbytes


def test_numbers_are_made_for_who_asks_for_them_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = make("qwen2_5_vl", tmp_path)
    media = policy.encode(Prompt.user(text="What is it?", images=(picture(56, 56),))).media
    monkeypatch.setattr(ByteTable, "unpack", lambda table, bytes_NK: pytest.fail("made numbers"))
    assert "pixel_values" in media and "pixels" not in media
    assert num_bytes(joined([media, media])) == 2 * num_bytes(media)
    assert media["image_grid_thw"].tolist() == [[1, 4, 4]]


@pytest.mark.parametrize("left_out", ["do_rescale", "do_normalize"])
def test_a_processor_that_leaves_a_step_out_is_obeyed(left_out: str, tmp_path: Path) -> None:
    policy = make("qwen2_5_vl", tmp_path)
    images = policy.processor.image_processor
    setattr(images, left_out, False)
    again = TokenPolicy(policy.model, policy.processor, policy.source)
    image = picture(56, 84)
    expected = images(images=[image], return_tensors="pt")["pixel_values"]
    assert torch.equal(shown(again, [image])["pixel_values"], expected)


@pytest.mark.parametrize("mean", [[0.5, 0.5], ["a", "b", "c"]])
def test_numbers_that_fit_no_colours_are_a_model_error(mean: list[object], tmp_path: Path) -> None:
    processor = make("qwen2_5_vl", tmp_path).processor
    processor.image_processor.image_mean = mean
    with pytest.raises(ModelError, match="the model's image processor cannot be used: "):
        ByteTable.of(processor)


def test_other_processors_keep_what_they_make(tmp_path: Path) -> None:
    policy = make("llava", tmp_path)
    assert ByteTable.of(policy.processor) is None
    encoded = policy.encode(Prompt.user(text="What is it?", images=(picture(56, 56),)))
    assert not isinstance(encoded.media, PackedMedia)


@pytest.mark.parametrize("family", ["qwen2_5_vl", "llava"])
def test_media_move_as_they_are_kept(family: str, tmp_path: Path) -> None:
    policy = make(family, tmp_path)
    media = policy.encode(Prompt.user(text="What is it?", images=(picture(56, 56),))).media
    away = moved(media, torch.device("meta"))
    assert type(away) is type(media) and num_bytes(away) == num_bytes(media)
    for name, value in media.items():
        assert away[name].device.type == "meta"
        assert (away[name].shape, away[name].dtype) == (value.shape, value.dtype)


def test_media_of_several_prompts_follow_each_other() -> None:
    one, other = {"pixel_values": torch.ones(2, 4)}, {"pixel_values": torch.zeros(1, 4)}
    assert joined([one, {}, other])["pixel_values"].tolist() == [[1.0] * 4, [1.0] * 4, [0.0] * 4]
    assert joined([{}, {}]) == {}
