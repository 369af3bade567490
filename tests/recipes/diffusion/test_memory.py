"""The plan's pass of a UNet keeps what the real one keeps, and the sum follows the settings."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from stablereward.policies.diffusion import DiffusionPolicy, without_weights
from stablereward.recipes.diffusion import alignprop, ddpo
from stablereward.training.footprint import Fused
from tests.training.saved import num_bytes, saved

SHAPES = "shapes"


def kept(network: torch.nn.Module, device: str, width: int, length: int) -> int:
    network.requires_grad_(False)
    size = network.config.sample_size
    states = torch.zeros(3, network.config.in_channels, size, size, device=device, requires_grad=True)
    words = torch.zeros(3, length, width, device=device)
    fused = Fused(halved=False) if device == "meta" else nullcontext()
    with fused, saved(network) as found:
        network(states, torch.zeros(3, device=device), encoder_hidden_states=words)
    return num_bytes(found)


@pytest.mark.parametrize("length", [4, 8])
def test_a_step_on_shapes_keeps_what_a_step_of_numbers_keeps(length: int) -> None:
    real = DiffusionPolicy.load(SHAPES, device="cpu").unet
    planned = without_weights(SHAPES).network
    width = real.config.cross_attention_dim
    on_cpu, on_meta = kept(real, "cpu", width, length), kept(planned, "meta", width, length)
    assert on_cpu == on_meta > 0


def test_more_pictures_and_more_kept_steps_need_more() -> None:
    config = ddpo.tiny()
    assert config.task.drawing.at_once == 32 and not config.hardware.gradient_checkpointing

    def peak(at_once: int, token_budget: int, *, checkpointing: bool) -> int:
        task = replace(config.task, drawing=replace(config.task.drawing, at_once=at_once))
        own = replace(config.ddpo, rl=replace(config.ddpo.rl, token_budget=token_budget))
        hardware = replace(config.hardware, gradient_checkpointing=checkpointing)
        return ddpo.plan(replace(config, task=task, ddpo=own, hardware=hardware), gpu=False).peak

    assert peak(8, 320, checkpointing=True) < peak(16, 320, checkpointing=True)
    assert peak(8, 320, checkpointing=True) == peak(8, 160, checkpointing=True)
    # 16 pictures of 10 steps in a micro-batch, then 32; computed again, at_once alone counts.
    assert peak(8, 160, checkpointing=False) < peak(8, 320, checkpointing=False)


def test_alignprops_baseline_is_planned_as_ddpo() -> None:
    baseline = replace(alignprop.tiny(), ddpo=ddpo.tiny().ddpo)
    assert alignprop.plan(baseline, gpu=False) == ddpo.plan(ddpo.tiny(), gpu=False)
    shorter = replace(alignprop.tiny(), window="last")
    assert alignprop.plan(shorter, gpu=False).peak < alignprop.plan(alignprop.tiny(), gpu=False).peak


def test_products_in_bfloat16_take_less() -> None:
    on_gpu, on_cpu = (ddpo.plan(ddpo.tiny(), gpu=gpu).peak for gpu in (True, False))
    assert on_gpu < on_cpu
