"""Ratings and classes by hand, micro-batches that add up, and what is refused."""

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from stablereward.errors import DataError
from stablereward.training.pairwise import AnyGroup, RewardConfig
from stablereward.training.rating import class_loss, rated_batch, rated_batches, regression_loss
from stablereward.types import Failure, Group, Reward

WHOLE = 10**6
NAMES = ("helpful", "short")
GROUPS: list[AnyGroup] = [
    Group(
        prompt="q",
        trajectories=("a", "b"),
        rewards=(
            Reward(value=0.0, parts={"helpful": 4.0, "short": 0.0, "other": 9.0}, steps=(None, 1.0)),
            Failure(reason="unread"),
        ),
    ),
    Group(
        prompt="r",
        trajectories=("c",),
        rewards=(Reward(value=1.0, parts={"helpful": 1.0, "short": 3.0}, steps=(2.0, None, 0.0)),),
    ),
]
SCORES = {"a": (3.0, 1.0), "b": (7.0, 7.0), "c": (1.0, 1.0)}


def outputs(groups: Sequence[AnyGroup]) -> Tensor:
    return torch.tensor([SCORES[t] for one in groups for t in one.trajectories], requires_grad=True)


def token_outputs(groups: Sequence[AnyGroup]) -> Tensor:
    """Each token says its own number, three classes."""
    num = sum(len(one.trajectories) for one in groups)
    return torch.eye(3).expand(num, 3, 3).clone().requires_grad_()


def test_regression_by_hand() -> None:
    [share] = rated_batch(GROUPS, [1, 1], WHOLE)
    loss = regression_loss(outputs, share, NAMES)
    assert loss.value.item() == pytest.approx(((1 + 1) / 2 + (0 + 4) / 2) / 2)
    assert float(loss.metrics["rating/squared_error"]) == pytest.approx(1.5)


def test_classes_by_hand() -> None:
    [share] = rated_batch(GROUPS, [1, 1], WHOLE)
    loss = class_loss(token_outputs, share)
    own, other = (-math.log(math.exp(x) / (math.e + 2)) for x in (1.0, 0.0))
    # Token 1 of "a" is class 1; of "c" token 0 is class 2 and token 2 class 0.
    assert loss.value.item() == pytest.approx((own + other + other) / 3)
    assert float(loss.metrics["tokens/accuracy"]) == pytest.approx(1 / 3)


def test_law_micro_batches_add_up() -> None:
    [whole] = rated_batch(GROUPS, [1, 1], WHOLE)
    pieces = rated_batch(GROUPS, [1, 1], 1)
    assert len(pieces) == 2
    for loss in (
        lambda one: regression_loss(outputs, one, NAMES),
        lambda one: class_loss(token_outputs, one),
    ):
        total = sum(loss(piece).value.item() for piece in pieces)
        assert total == pytest.approx(loss(whole).value.item())


def test_batches_go_on_where_they_stopped() -> None:
    config = RewardConfig(epochs=4.0, batch_size=1)

    def batches(start: int) -> list[object]:
        return list(rated_batches(GROUPS, list, lambda groups: [1] * len(groups), config, 3, start))

    assert len(batches(0)) == 8 and batches(0)[5:] == batches(5)


def test_what_has_no_rating_is_refused() -> None:
    bare = Group(prompt="q", trajectories=("a",))
    with pytest.raises(DataError, match="question 2 has no response with a rating"):
        next(rated_batches([GROUPS[0], bare], list, lambda groups: [1], RewardConfig(), seed=0))


@pytest.mark.parametrize("parts", [{"short": 1.0}, {"helpful": math.nan, "short": 1.0}])
def test_a_rating_that_is_no_number_is_refused(parts: dict[str, float]) -> None:
    group = Group(prompt="q", trajectories=("a",), rewards=(Reward(value=0.0, parts=parts),))
    [share] = rated_batch([group], [1], WHOLE)
    with pytest.raises(DataError, match="no rating of 'helpful' that is a number"):
        regression_loss(outputs, share, NAMES)


@pytest.mark.parametrize("told", [3.0, -1.0, 0.5])
def test_a_class_that_the_head_has_not_is_refused(told: float) -> None:
    group = Group(prompt="q", trajectories=("a",), rewards=(Reward(value=0.0, steps=(told,)),))
    [share] = rated_batch([group], [1], WHOLE)
    with pytest.raises(DataError, match="the head has 3, from 0"):
        class_loss(token_outputs, share)
