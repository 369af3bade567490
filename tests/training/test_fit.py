import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stablereward.objectives.objective import Loss
from stablereward.training.fit import Update, fit

Row = tuple[Tensor, Tensor]


def model(seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(3, 1, dtype=torch.float64)


def rows(num: int, seed: int = 1) -> list[Row]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn((num, 3), generator=generator, dtype=torch.float64)
    return [(x, x.sum() + 1) for x in inputs]


def share_of(layer: nn.Linear, total: int, micro_batch: list[Row]) -> Loss:
    errors = torch.stack([(layer(x)[0] - y) ** 2 for x, y in micro_batch])
    return Loss(errors.sum() / total, {"error/total": errors.detach().sum()})


def run(layer: nn.Linear, batches: list[list[list[Row]]], **settings: float) -> list[Update]:
    optimizer = torch.optim.AdamW(layer.parameters())
    total = sum(len(micro_batch) for micro_batch in batches[0])
    return list(
        fit(
            layer.parameters(),
            batches,
            lambda micro_batch: share_of(layer, total, micro_batch),
            optimizer=optimizer,
            learning_rate=lambda update: 0.1 / update,
            **settings,  # type: ignore[arg-type]
        )
    )


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_micro_batches_add_up_to_the_batch(size: int) -> None:
    data = [rows(8, seed) for seed in range(4)]
    whole, split = model(), model()
    at_once = run(whole, [[batch] for batch in data])
    in_parts = run(split, [[batch[i : i + size] for i in range(0, 8, size)] for batch in data])
    for parameter, other in zip(whole.parameters(), split.parameters(), strict=True):
        torch.testing.assert_close(parameter, other, atol=1e-12, rtol=1e-12)
    for ours, theirs in zip(in_parts, at_once, strict=True):
        assert ours.metrics == pytest.approx(theirs.metrics, rel=1e-9)


def test_an_update_by_hand() -> None:
    parameter = nn.Parameter(torch.tensor([3.0, 4.0]))
    optimizer = torch.optim.SGD([parameter], lr=99.0)
    (update,) = fit(
        [parameter],
        [[1.0]],
        lambda scale: Loss(scale * (parameter**2).sum() / 2, {"a/b": torch.tensor(7.0)}),
        optimizer=optimizer,
        learning_rate=lambda number: 0.5 * number,
        max_grad_norm=1.0,
    )
    # The gradient (3, 4) has norm 5 and is clipped to (0.6, 0.8); the rate is 0.5.
    assert parameter.tolist() == pytest.approx([2.7, 3.6], abs=1e-5)
    assert update.number == 1
    assert update.metrics == pytest.approx(
        {
            "loss": 12.5,
            "a/b": 7.0,
            "grad_norm": 5.0,
            "learning_rate": 0.5,
            "update/skipped": 0.0,
            "update/dropped": 0.0,
        }
    )


def test_a_group_of_parameters_has_its_factor_of_the_rate() -> None:
    slow, fast = (nn.Parameter(torch.tensor([1.0])) for _ in range(2))
    optimizer = torch.optim.SGD([{"params": [slow]}, {"params": [fast], "factor": 10.0}], lr=99.0)
    updates = fit(
        [slow, fast],
        [[None]],
        lambda share: Loss(((slow + fast) * 0.1).sum(), {}),
        optimizer=optimizer,
        learning_rate=lambda number: 0.5,
    )
    assert [update.metrics["learning_rate"] for update in updates] == [0.5]
    assert (slow.item(), fast.item()) == pytest.approx((1 - 0.5 * 0.1, 1 - 5.0 * 0.1))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_an_update_that_is_not_finite_is_skipped(bad: float) -> None:
    broken, clean = model(), model()
    poisoned = [(torch.full((3,), bad, dtype=torch.float64), torch.tensor(1.0, dtype=torch.float64))]
    good = [[rows(4, seed)] for seed in range(3)]
    optimizer = torch.optim.AdamW(broken.parameters())
    before: list[Tensor] = []

    def batches() -> Iterator[list[list[Row]]]:
        yield good[0]
        before.extend(p.detach().clone() for p in broken.parameters())
        yield [good[1][0], poisoned]
        assert all(torch.equal(p, old) for p, old in zip(broken.parameters(), before, strict=True))
        assert all(p.grad is None for p in broken.parameters())
        yield good[2]

    updates = list(
        fit(
            broken.parameters(),
            batches(),
            lambda micro_batch: share_of(broken, 4, micro_batch),
            optimizer=optimizer,
            learning_rate=lambda update: 0.1,
        )
    )
    assert [u.metrics["update/skipped"] for u in updates] == [0.0, 1.0, 0.0]
    assert not math.isfinite(updates[1].metrics["grad_norm"])
    # The same as if the broken batch had not been there.
    theirs = torch.optim.AdamW(clean.parameters())
    list(
        fit(
            clean.parameters(),
            [good[0], good[2]],
            lambda micro_batch: share_of(clean, 4, micro_batch),
            optimizer=theirs,
            learning_rate=lambda update: 0.1,
        )
    )
    assert all(torch.equal(p, q) for p, q in zip(broken.parameters(), clean.parameters(), strict=True))


def test_a_batch_is_made_after_the_update_before_it() -> None:
    layer = model()
    seen = []

    def batches() -> Iterator[list[list[Row]]]:
        for seed in range(3):
            seen.append(layer.weight.detach().clone())
            yield [rows(4, seed)]

    updates = fit(
        layer.parameters(),
        batches(),
        lambda micro_batch: share_of(layer, 4, micro_batch),
        optimizer=torch.optim.SGD(layer.parameters()),
        learning_rate=lambda update: 0.1,
        start=5,
    )
    assert next(updates).number == 6
    assert len(seen) == 1
    assert [update.number for update in updates] == [7, 8]
    assert not torch.equal(seen[0], seen[1]) and not torch.equal(seen[1], seen[2])


def test_a_loss_without_gradient_changes_nothing() -> None:
    layer = model()
    before = layer.weight.detach().clone()
    (update,) = fit(
        layer.parameters(),
        [[None]],
        lambda _: Loss(torch.tensor(2.0), {}),
        optimizer=torch.optim.AdamW(layer.parameters()),
        learning_rate=lambda update: 0.1,
    )
    assert update.metrics["grad_norm"] == 0.0 and update.metrics["loss"] == 2.0
    assert torch.equal(layer.weight, before)


def test_frozen_parameters_stay() -> None:
    layer = model()
    layer.bias.requires_grad_(False)
    before = layer.bias.detach().clone()
    run_on = torch.optim.SGD([layer.weight])
    list(
        fit(
            layer.parameters(),
            [[rows(4)]],
            lambda micro_batch: share_of(layer, 4, micro_batch),
            optimizer=run_on,
            learning_rate=lambda update: 0.1,
        )
    )
    assert torch.equal(layer.bias, before) and layer.bias.grad is None


def one(parameter: nn.Parameter, scales: list[float], **hooks: Any) -> Update:
    """One update of a parameter whose loss is scale · parameter² / 2, summed over the micro-batches."""
    (update,) = fit(
        [parameter],
        [scales],
        lambda scale: Loss(scale * (parameter**2).sum() / 2, {}),
        optimizer=torch.optim.SGD([parameter], lr=0.0),
        learning_rate=lambda number: 0.5,
        max_grad_norm=100.0,
        **hooks,
    )
    return update


def test_what_mend_leaves_is_the_update() -> None:
    parameter, other = nn.Parameter(torch.tensor([3.0])), nn.Parameter(torch.tensor([3.0]))
    asked: list[tuple[int, list[float], Tensor | None]] = []

    def mend(number: int, batch: list[float]) -> tuple[list[float], int]:
        asked.append((number, batch, parameter.grad))
        return batch[1:], 1

    mended = one(parameter, [math.nan, 1.0, 0.5], mend=mend)
    plain = one(other, [1.0, 0.5], mend=mend)
    assert len(asked) == 1 and asked[0][0] == 1 and len(asked[0][1]) == 3 and asked[0][2] is None
    # 3 - 0.5 · (1.5 · 3)
    assert parameter.tolist() == other.tolist() == pytest.approx([0.75])
    assert mended.metrics == {**plain.metrics, "update/dropped": 1.0}


@pytest.mark.parametrize("rest", [None, ([math.inf], 1)])
def test_an_update_that_cannot_be_mended_is_skipped(rest: tuple[list[float], int] | None) -> None:
    parameter = nn.Parameter(torch.tensor([3.0]))
    update = one(parameter, [math.nan, 1.0], mend=lambda number, batch: rest)
    assert update.metrics["update/skipped"] == 1.0 and parameter.tolist() == [3.0]
    assert update.metrics["update/dropped"] == (0.0 if rest is None else 1.0)


def test_a_loss_that_is_not_finite_counts_even_with_a_finite_gradient() -> None:
    parameter = nn.Parameter(torch.tensor([3.0]))
    (update,) = fit(
        [parameter],
        [[None]],
        lambda _: Loss(parameter.sum() + math.inf, {}),
        optimizer=torch.optim.SGD([parameter], lr=0.0),
        learning_rate=lambda number: 0.5,
    )
    assert update.metrics["grad_norm"] == 1.0 and update.metrics["update/skipped"] == 1.0
    assert parameter.tolist() == [3.0]


@pytest.mark.parametrize("taken", [True, False])
def test_a_norm_may_be_refused_and_is_measured_before_clipping(taken: bool) -> None:
    parameter = nn.Parameter(torch.tensor([300.0]))
    asked: list[tuple[int, float]] = []

    def accept(number: int, norm: float) -> bool:
        asked.append((number, norm))
        return taken

    def measure() -> dict[str, float]:
        assert parameter.grad is not None
        return {"grad_norm/all": float(parameter.grad.norm())}

    update = one(parameter, [1.0], accept=accept, measure=measure)
    assert asked == [(1, 300.0)]
    assert update.metrics["grad_norm/all"] == update.metrics["grad_norm"] == 300.0
    assert update.metrics["update/skipped"] == float(not taken)
    assert parameter.tolist() == ([pytest.approx(250.0, rel=1e-4)] if taken else [300.0])
