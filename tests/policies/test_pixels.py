"""What a model sees of kept bytes is what the processor makes of the image, bit by bit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stablereward.policies.pixels import BYTES, Pixels
from stablereward.policies.token import TokenPolicy
from stablereward.policies.tree import join_media
from stablereward.types import Prompt
from tests.policies.families import make, picture

QWEN = ["qwen2_5_vl", "qwen3_vl"]
SIZES = [(56, 56), (61, 113), (200, 30), (29, 31)]


def shown(policy: TokenPolicy, images: list[Image.Image]) -> dict[str, torch.Tensor]:
    """What the model gets of one prompt for each image, packed."""
    encoded = policy.encode_all([Prompt(text="What is it?", images=(image,)) for image in images])
    return policy.media_inputs(join_media(encoded))


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
    encoded = policy.encode(Prompt(text="What is it?", images=(picture(112, 112),)))
    assert encoded.media[BYTES].dtype == torch.uint8
    assert 8 * encoded.media[BYTES].nbytes == policy.media_inputs(encoded.media)["pixel_values"].nbytes


@pytest.mark.parametrize("left_out", ["do_rescale", "do_normalize"])
def test_a_processor_that_leaves_a_step_out_is_obeyed(left_out: str, tmp_path: Path) -> None:
    policy = make("qwen2_5_vl", tmp_path)
    images = policy.processor.image_processor
    setattr(images, left_out, False)
    again = TokenPolicy(policy.model, policy.processor, policy.source)
    image = picture(56, 84)
    expected = images(images=[image], return_tensors="pt")["pixel_values"]
    assert torch.equal(shown(again, [image])["pixel_values"], expected)


def test_other_processors_keep_what_they_make(tmp_path: Path) -> None:
    policy = make("llava", tmp_path)
    assert Pixels.of(policy.processor) is None
    media = {"pixel_values": torch.ones(1, 3, 4, 4)}
    assert policy.media_inputs(media) == media
