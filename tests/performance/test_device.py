"""The little that differs between devices."""

import torch

from performance.device import DEVICES, Device, peak_rate


def test_a_rehearsal_chooses_as_a_gpu_and_computes_on_the_cpu() -> None:
    cpu, gpu, rehearsal = map(Device, DEVICES)
    assert [d.like_gpu for d in (cpu, gpu, rehearsal)] == [False, True, True]
    assert [d.place for d in (cpu, gpu, rehearsal)] == ["cpu", "cuda", "cpu"]
    assert [d.number for d in (cpu, gpu, rehearsal)] == [torch.float32, torch.bfloat16, torch.bfloat16]
    a = torch.rand(2, 2)
    with rehearsal.precision():
        assert (a @ a).dtype == torch.bfloat16
    with cpu.precision():
        assert (a @ a).dtype == torch.float32


def test_the_peak_rate_is_the_data_sheets_where_the_gpu_is_known() -> None:
    assert peak_rate("NVIDIA H200", 1.0) == 989e12
    assert peak_rate("", 1.0) == 1.0


def test_memory_that_was_held_in_between_is_seen() -> None:
    device = Device("cpu")
    before = device.start_memory()
    held = torch.ones(2**24)
    del held
    seen = device.memory_since(before)
    assert seen["bytes_before"] == before
    assert seen["bytes_growth"] > 2**25
