"""Properties of every credit rule under every baseline, as an objective whose rewards are of steps."""

from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import pytest
import torch
from torch import Tensor

from stablereward.objectives import credit
from stablereward.objectives.advantages import Signals, leave_one_out, whiten
from stablereward.objectives.estimators import Estimate, compose
from stablereward.objectives.objective import Objective
from stablereward.objectives.ratios import token_ratio
from stablereward.objectives.reductions import sequence_mean_token_mean
from stablereward.objectives.surrogates import ppo_clip

FORMS = {
    "sum": credit.sum_form,
    "mean": credit.mean_form,
    "min": credit.min_form(0.1),
    "clip": credit.clipped(0.5),
    "delta": credit.delta,
    "clip_delta": credit.clipped_delta(0.5),
    "scaled": credit.scaled(credit.sum_form, 0.3),
}
BASELINES = (credit.no_step_baseline, credit.token_leave_one_out, credit.step_leave_one_out)
MASKS = (lambda estimate: estimate, credit.without_step_ends)


def estimate(form: str, baseline: credit.StepBaseline, masked) -> Estimate:
    return masked(
        credit.step_returns(
            FORMS[form], baseline=baseline, outcome=0.7, outcome_baseline=leave_one_out, beta=0.1
        )
    )


ESTIMATES = [estimate(*picked) for picked in product(FORMS, BASELINES, MASKS)]
every_estimate = pytest.mark.parametrize("estimate", ESTIMATES, ids=range(len(ESTIMATES)))


@dataclass(frozen=True)
class Batch:
    """Signals and the log-probs of two policies; entries off the mask may be anything."""

    signals: Signals
    logprobs_BT: Tensor
    old_BT: Tensor

    def map(self, change) -> "Batch":
        signals = Signals(*(None if s is None else change(s) for s in self.signals))
        return Batch(signals, change(self.logprobs_BT), change(self.old_BT))


def batch(tokens: int = 7) -> Batch:
    """Eight trajectories of three prompts, interleaved, 1 to 7 tokens; a step ends at a third of these."""
    generator = torch.Generator().manual_seed(0)
    noise = partial(torch.rand, 8, tokens, generator=generator)
    lengths_B = torch.tensor([3, 7, 1, 4, 6, 2, 5, 3])
    mask_BT = torch.arange(tokens) < lengths_B[:, None]
    ends_BT = (noise() < 0.3) | (torch.arange(tokens) == lengths_B[:, None] - 1)
    old_BT = -noise() - 0.1
    return Batch(
        Signals(
            rewards_B=torch.tensor([1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0]),
            groups_B=torch.tensor([7, 2, 2, 5, 7, 2, 5, 5]),
            mask_BT=mask_BT,
            reference_log_ratio_BT=0.3 * noise(),
            steps_BT=torch.where(ends_BT & mask_BT, 2 * noise() - 1, torch.nan),
        ),
        logprobs_BT=old_BT + 0.3 * noise() - 0.15,
        old_BT=old_BT,
    )


def objective(estimate: Estimate) -> Objective:
    return Objective(
        name="steps", link="", advantage=compose(estimate, normalise=whiten), ratio=token_ratio,
        surrogate=ppo_clip(epsilon_low=0.2, epsilon_high=0.2), reduction=sequence_mean_token_mean,
    )  # fmt: skip


def run(objective: Objective, data: Batch, splits: tuple[int, ...] = (8,)) -> tuple[Tensor, Tensor]:
    """Loss and gradient, accumulated over micro-batches of the given numbers of rows."""
    mask_BT, logprobs_BT = data.signals.mask_BT, data.logprobs_BT.clone().requires_grad_()
    values_BT, weights_BT = objective.advantage(data.signals).values_BT, objective.reduction(mask_BT)
    columns = (logprobs_BT, data.old_BT, values_BT, weights_BT, mask_BT)
    losses = [objective.loss(*rows) for rows in zip(*(c.split(splits) for c in columns), strict=True)]
    for loss in losses:
        loss.value.backward()
    assert logprobs_BT.grad is not None
    return sum((loss.value.detach() for loss in losses), torch.tensor(0.0)), logprobs_BT.grad


@every_estimate
@pytest.mark.parametrize("splits", [(1,) * 8, (2, 6), (4, 1, 3)])
def test_micro_batches_change_nothing(estimate: Estimate, splits: tuple[int, ...]) -> None:
    """Credit is given once, to the whole batch: a split cannot change loss or gradient."""
    torch.testing.assert_close(run(objective(estimate), batch(), splits), run(objective(estimate), batch()))


@every_estimate
@pytest.mark.parametrize("junk", [torch.nan, torch.inf, 1e30])
def test_what_lies_off_the_mask_never_matters(estimate: Estimate, junk: float) -> None:
    data = batch()
    mask_BT = data.signals.mask_BT

    def dirty(tensor: Tensor) -> Tensor:
        two = tensor.is_floating_point() and tensor.ndim == 2
        return torch.where(mask_BT, tensor, junk) if two else tensor

    values_BT = estimate(data.map(dirty).signals)
    assert torch.equal(values_BT, estimate(data.signals))
    assert torch.equal(values_BT[~mask_BT], torch.zeros_like(values_BT[~mask_BT]))


@every_estimate
def test_padding_changes_nothing(estimate: Estimate) -> None:
    data = batch()

    def pad(tensor: Tensor) -> Tensor:
        if tensor.ndim != 2:
            return tensor
        return torch.nn.functional.pad(
            tensor, (0, 4), value=False if tensor.dtype == torch.bool else torch.nan
        )

    torch.testing.assert_close(estimate(data.map(pad).signals)[:, :7], estimate(data.signals))


@every_estimate
def test_order_and_numbers_of_groups_do_not_matter(estimate: Estimate) -> None:
    data, order = batch(), torch.tensor([7, 3, 5, 0, 1, 2, 6, 4])
    expected_BT = estimate(data.signals)
    torch.testing.assert_close(estimate(data.map(lambda t: t[order]).signals), expected_BT[order])
    renamed = data.signals._replace(
        groups_B=torch.tensor([0, 0, -4, 0, 0, 900, 0, 11])[data.signals.groups_B]
    )
    torch.testing.assert_close(estimate(renamed), expected_BT)


@every_estimate
def test_another_prompt_does_not_matter(estimate: Estimate) -> None:
    data = batch()
    kept = data.signals.groups_B != 2
    alone = data.map(lambda tensor: tensor[kept])
    torch.testing.assert_close(estimate(data.signals)[kept], estimate(alone.signals))


@every_estimate
def test_answers_move_every_token_alike(estimate: Estimate) -> None:
    """A constant added to a prompt's answers changes nothing: they are held against each other."""
    signals = batch().signals
    shifted = signals._replace(rewards_B=signals.rewards_B + signals.groups_B)
    torch.testing.assert_close(estimate(shifted), estimate(signals))


def test_data_is_as_it_says() -> None:
    data = batch()
    assert replace(data).signals.steps_BT is not None
    assert ((~data.signals.steps_BT.isnan()).sum(1) >= 1).all()  # type: ignore[union-attr]
