"""The laws of every loss on scores, on every family of models that reads, with images where it sees.

Swapping the responses with their labels changes nothing; a constant on all scores of a question changes
nothing where the method says so; and however a batch is padded, cut or shared, loss and gradient are those of
each response read alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from stablereward.objectives.objective import Loss
from stablereward.objectives.pairwise import bradley_terry, centring
from stablereward.policies.scalar import Dialogue, EncodedDialogue, ScalarModel, dialogue
from stablereward.policies.scalar_head import HeadConfig
from stablereward.training.pairwise import Compared, pair_batch, pair_loss, ranking_loss
from stablereward.training.rating import class_loss, rated_batch, regression_loss
from stablereward.types import Group, Preference, Reward
from tests.policies.families import ALL, ONE_IMAGE, make

WHOLE = 10**6
ATTRIBUTES = ("helpful", "short")


class Law(NamedTuple):
    """A loss of a model's share, how batches are made, and whether a question's constant is free."""

    loss: Callable[[ScalarModel, object], Loss]
    batch: Callable[..., Sequence[object]]
    shift_free: bool | None


def paired(comparison: Callable[[Compared], Tensor], shift_free: bool, **settings: float) -> Law:
    def loss(model: ScalarModel, share: object) -> Loss:
        return pair_loss(model.measure, share, comparison, **settings)  # type: ignore[arg-type]

    return Law(loss, pair_batch, shift_free)


def bt(pairs: Compared, **settings: Tensor | float) -> Tensor:
    return bradley_terry(pairs.chosen_C, pairs.rejected_C, **settings)


LOSSES = {
    "plain": paired(bt, True),
    "margin": paired(lambda pairs: bt(pairs, margin=pairs.lead_C), True),
    "scaled": paired(lambda pairs: bt(pairs, weight=pairs.lead_C), True),
    "beta": paired(lambda pairs: bt(pairs, beta=pairs.lead_C), True),
    "soft label": paired(lambda pairs: bt(pairs, confidence=torch.sigmoid(pairs.lead_C)), True),
    "centred": paired(lambda pairs: bt(pairs) + centring(pairs.chosen_C, pairs.rejected_C), False),
    "tie": paired(bt, True, tie_coefficient=0.7),
    "ranking": Law(lambda model, share: ranking_loss(model.measure, share), pair_batch, True),  # type: ignore[arg-type]
    "regression": Law(
        lambda model, share: regression_loss(model.outputs, share, ATTRIBUTES),  # type: ignore[arg-type]
        rated_batch,
        False,
    ),
    "token classes": Law(lambda model, share: class_loss(model.token_outputs, share), rated_batch, None),  # type: ignore[arg-type]
}
HEADS = {
    "linear": HeadConfig(layers=1, activation="none", outputs=2),
    "SiLU": HeadConfig(outputs=2),
    "mean tanh": HeadConfig(activation="tanh", pooling="mean", outputs=2),
    "end": HeadConfig(layers=3, pooling="end", outputs=2),
}


@pytest.fixture(scope="module", params=ALL)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp(request.param)
    make(request.param, made)
    return made


def reward(value: float, tokens: int) -> Reward:
    """Both ratings, and a class at the last but one token and the first."""
    steps: list[float | None] = [None] * tokens
    steps[0], steps[-2] = 1.0, float(value > 1)
    return Reward(value=value, parts={"helpful": value, "short": -value / 2}, steps=tuple(steps))


def shown(model: ScalarModel) -> list[EncodedDialogue]:
    """Questions with three responses of which two are tied, two of equal length, and two with a picture."""
    sees = model.policy.processor is not model.policy.tokenizer
    asked: list[Dialogue] = [
        dialogue(Preference(question=question, responses=responses, images=images))
        for question, responses, images in (
            ("What is it?", ("A cat.", "No, and much more to say", "N"), ()),
            ("Hi", ("Yes", "No!"), ()),
            ("And here?", ("One.", "A red circle"), ONE_IMAGE.images if sees else ()),
        )
    ]
    earned = ((2.0, 0.5, 0.5), (1.0, 3.0), (0.0, 2.0))
    return [
        replace(
            one,
            rewards=tuple(reward(v, t.num_steps) for v, t in zip(values, one.trajectories, strict=True)),
        )
        for one, values in zip(model.encoded(asked), earned, strict=True)
    ]


def of(
    model: ScalarModel, law: Law, groups: Sequence[EncodedDialogue], budget: int
) -> tuple[float, list[Tensor]]:
    """The loss of a batch in micro-batches of a budget, and its gradient."""
    model.zero_grad(set_to_none=True)
    total = 0.0
    for share in law.batch(groups, model.costs(groups), budget):
        loss = law.loss(model, share).value
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    return total, [p.grad.clone() for p in model.parameters() if p.grad is not None]


def same(one: tuple[float, list[Tensor]], other: tuple[float, list[Tensor]]) -> None:
    assert one[0] == pytest.approx(other[0], abs=1e-5)
    for mine, theirs in zip(one[1], other[1], strict=True):
        torch.testing.assert_close(mine, theirs, atol=2e-5, rtol=1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_law_swap_and_split(folder: Path, name: str) -> None:
    model = ScalarModel.start(folder, HEADS["SiLU"], device="cpu")
    law, groups = LOSSES[name], shown(model)
    whole = of(model, law, groups, WHOLE)
    assert whole[0] > 0 and sum(float(g.abs().sum()) for g in whole[1]) > 0
    same(of(model, law, groups, 1), whole)
    swapped = [
        replace(one, trajectories=one.trajectories[::-1], rewards=one.rewards[::-1]) for one in groups[::-1]
    ]
    same(of(model, law, swapped, WHOLE), whole)


class Alone:
    """Reads every response in a batch of its own, in which nothing is padded or shared."""

    def __init__(self, model: ScalarModel) -> None:
        self.model = model

    def _each(self, groups: Sequence[EncodedDialogue]) -> list[list[EncodedDialogue]]:
        return [[Group(prompt=one.prompt, trajectories=(t,))] for one in groups for t in one.trajectories]

    def outputs(self, groups: Sequence[EncodedDialogue]) -> Tensor:
        return torch.cat([self.model.outputs(one) for one in self._each(groups)])

    def measure(self, groups: Sequence[EncodedDialogue]) -> Tensor:
        return self.outputs(groups)[:, 0]

    def token_outputs(self, groups: Sequence[EncodedDialogue]) -> Tensor:
        rows = [self.model.token_outputs(one)[0] for one in self._each(groups)]
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)


@pytest.mark.parametrize("head", HEADS)
def test_law_what_is_shared_and_padded_is_what_is_read_alone(folder: Path, head: str) -> None:
    """A batch's reading of scores decides every loss: so one of each shape of output is enough."""
    model = ScalarModel.start(folder, HEADS[head], device="cpu")
    groups = shown(model)
    for name in ("plain", "regression", "token classes"):
        law = LOSSES[name]
        [share] = law.batch(groups, model.costs(groups), WHOLE)
        results = []
        for reads in (model, Alone(model)):
            model.zero_grad(set_to_none=True)
            loss = law.loss(reads, share).value  # type: ignore[arg-type]
            loss.backward()  # type: ignore[no-untyped-call]
            results.append(
                (float(loss.detach()), [p.grad.clone() for p in model.parameters() if p.grad is not None])
            )
        same(*results)


@pytest.mark.parametrize("name", [name for name, law in LOSSES.items() if law.shift_free is not None])
def test_law_a_constant_of_a_question_is_free_where_the_method_says_so(name: str) -> None:
    """Section 3 of https://arxiv.org/abs/2312.09244: Bradley-Terry does not see r + c(x), centring does."""
    law = LOSSES[name]
    groups = [
        Group(prompt=None, trajectories=("a", "b"), rewards=(reward(1.0, 3), reward(0.0, 3))),
        Group(
            prompt=None, trajectories=("c", "d", "e"), rewards=tuple(reward(v, 3) for v in (0.0, 2.0, 2.0))
        ),
    ]
    scores_BO = torch.randn((5, 2), generator=torch.Generator().manual_seed(0))

    class Shifted:
        def __init__(self, constants: tuple[float, float]) -> None:
            shifts_B1 = torch.tensor([constants[0]] * 2 + [constants[1]] * 3)[:, None]
            self.outputs = lambda groups: scores_BO + shifts_B1
            self.measure = lambda groups: (scores_BO + shifts_B1)[:, 0]

    [share] = law.batch(groups, [1, 1], WHOLE)
    here, there = (float(law.loss(Shifted(c), share).value) for c in ((0.0, 0.0), (3.0, -2.0)))  # type: ignore[arg-type]
    assert (here == pytest.approx(there, abs=1e-5)) == law.shift_free


def test_a_weight_of_0_takes_a_pair_out() -> None:
    scores_B = torch.tensor([1.0, 2.0], requires_grad=True)
    bt(Compared(scores_B, torch.zeros(2), torch.ones(2)), weight=torch.tensor([1.0, 0.0])).sum().backward()  # type: ignore[no-untyped-call]
    assert scores_B.grad is not None and scores_B.grad[1] == 0 > scores_B.grad[0]
