"""Extrapolated weights by hand, and what is refused."""

import pytest
import torch

from stablereward.errors import ModelError
from stablereward.policies.extrapolation import extrapolated

START = {"w": torch.tensor([1.0, 2.0]), "n": torch.tensor([3])}
TRAINED = {"w": torch.tensor([2.0, 1.0]), "n": torch.tensor([4])}


def test_by_hand() -> None:
    found = extrapolated(START, TRAINED, 0.5)
    assert found["w"].tolist() == [2.5, 0.5] and found["n"].tolist() == [4]


def test_law_0_is_what_was_trained_and_minus_1_where_it_began() -> None:
    assert torch.equal(extrapolated(START, TRAINED, 0.0)["w"], TRAINED["w"])
    assert torch.equal(extrapolated(START, TRAINED, -1.0)["w"], START["w"])


def test_half_precision_is_rounded_once() -> None:
    start, trained = ({"w": torch.tensor([x]).bfloat16()} for x in (1.0, 1.0078125))
    found = extrapolated(start, trained, 0.25)["w"]
    assert found.dtype == torch.bfloat16
    assert found.item() == torch.tensor(1.0078125 + 0.25 * 0.0078125).bfloat16().item()


@pytest.mark.parametrize("other", [{"w": torch.zeros(2)}, {"w": torch.zeros(3), "n": torch.tensor([3])}])
def test_other_models_are_refused(other: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ModelError, match="give one model"):
        extrapolated(START, other, 0.5)
