"""The quicker vision tower computes what the tower of transformers computes."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from stablereward.policies.copies import frozen_copy
from stablereward.policies.token import TokenPolicy
from stablereward.policies.vision import PACKED, PatchProduct, attend_packed
from tests.policies.families import groups, make

TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}


@pytest.mark.parametrize("lengths", [(4, 4, 4), (3, 1, 3, 5, 1), (6,)], ids=str)
def test_segments_attend_to_themselves(lengths: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    states = [torch.randn((1, 2, sum(lengths), 8), generator=generator).requires_grad_() for _ in range(3)]
    bounds = torch.tensor([0, *lengths]).cumsum(0)
    found, _ = attend_packed(None, *states, None, scaling=0.3, cu_seq_lens_q=bounds)
    parts = zip(*(x.split(lengths, dim=2) for x in states), strict=True)
    expected = torch.cat([scaled_dot_product_attention(*part, scale=0.3) for part in parts], dim=2)
    torch.testing.assert_close(found, expected.transpose(1, 2), **TOLERANCE)
    weights = torch.randn(found.shape, generator=generator)
    actual, wanted = (
        torch.autograd.grad((x * weights).sum(), states) for x in (found, expected.transpose(1, 2))
    )
    torch.testing.assert_close(actual, wanted, **TOLERANCE)


def test_a_patch_product_is_the_convolution() -> None:
    convolution = nn.Conv3d(3, 8, (2, 4, 4), stride=(2, 4, 4))
    patches, frames = torch.randn((5, 3, 2, 4, 4)), torch.randn((1, 3, 4, 8, 8))
    expected = convolution(patches), convolution(frames)
    convolution.__class__ = PatchProduct
    torch.testing.assert_close((convolution(patches), convolution(frames)), expected, **TOLERANCE)


def features(policy: TokenPolicy) -> tuple[Tensor, list[Tensor]]:
    visual = policy.model.model.visual
    media = policy.tree(groups(policy)).media
    found = visual(media["pixel_values"], media["image_grid_thw"]).pooler_output
    policy.zero_grad()
    (found * torch.linspace(-1, 1, found.numel()).view(found.shape)).sum().backward()
    return found.detach(), [p.grad.clone() for p in visual.parameters() if p.grad is not None]


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_the_whole_tower_is_unchanged(family: str, tmp_path: Path) -> None:
    policy = make(family, tmp_path)
    found, gradients = features(policy)
    assert frozen_copy(policy).model.config.vision_config._attn_implementation == PACKED
    policy.model.config.vision_config._attn_implementation = "sdpa"
    for module in policy.model.modules():
        if type(module) is PatchProduct:
            module.__class__ = nn.Conv3d
    expected, plain = features(policy)
    torch.testing.assert_close(found, expected, **TOLERANCE)
    for actual, wanted in zip(gradients, plain, strict=True):
        torch.testing.assert_close(actual, wanted, atol=1e-4, rtol=1e-4)
