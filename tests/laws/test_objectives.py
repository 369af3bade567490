"""Properties that every named objective obeys. A new entry of `named.ALL` is tested by being there."""

import ast
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
import torch

import stablereward.objectives
from stablereward.objectives import named
from stablereward.objectives.advantages import Signals, released_filter, sigma_filter, winsorise
from stablereward.objectives.objective import Loss, Objective
from stablereward.objectives.ratios import token_ratio

TUNED = (
    partial(named.reinforce, gamma=0.9, beta=0.1),
    partial(named.reinforce_plus_plus, beta=0.1),
    partial(named.stable_reinforce, dual_clip=3.0, keep=sigma_filter(1.5), beta=0.1),
    partial(named.stable_reinforce, ratio=token_ratio, keep=winsorise(1.0)),
    # The released rule compares z-scores with the raw mean, so a shift of the rewards moves its bounds.
    lambda: replace(named.stable_reinforce(keep=released_filter()), invariant_to="nothing"),
    partial(named.remax, beta=0.1),
    partial(named.rloo, beta=0.1),
    partial(named.ppo, gamma=0.9, beta=0.1),
)
OBJECTIVES = tuple(make() for make in (*named.ALL, *TUNED))

every_objective = pytest.mark.parametrize(
    "objective", OBJECTIVES, ids=[f"{o.name}-{i}" for i, o in enumerate(OBJECTIVES)]
)


@dataclass(frozen=True)
class Batch:
    """Signals and the log-probs of three policies, with every entry off the mask set to `junk`."""

    signals: Signals
    logprobs_BT: torch.Tensor
    old_BT: torch.Tensor
    reference_BT: torch.Tensor

    def map(self, change) -> "Batch":
        """`change` applied to every tensor."""
        return Batch(
            Signals(*(None if one is None else change(one) for one in self.signals)),
            change(self.logprobs_BT),
            change(self.old_BT),
            change(self.reference_BT),
        )

    def off_mask(self, junk: float) -> "Batch":
        mask_BT = self.signals.mask_BT

        def fill(tensor):
            return (
                torch.where(mask_BT, tensor, junk)
                if tensor.is_floating_point() and tensor.ndim == 2
                else tensor
            )

        return self.map(fill)

    def rewarded(self, rewards_B) -> "Batch":
        return replace(self, signals=self.signals._replace(rewards_B=rewards_B))

    def first_update(self) -> "Batch":
        """The policy still is what sampled, and the reference as well."""
        return replace(self, old_BT=self.logprobs_BT, reference_BT=self.logprobs_BT)


def batch(tokens: int = 6) -> Batch:
    """Nine trajectories of three prompts (2, 4 and 3, interleaved), 1 to 6 tokens, some with gaps."""
    generator = torch.Generator().manual_seed(0)
    noise = partial(torch.randn, 9, tokens, generator=generator)
    lengths_B = torch.tensor([3, 6, 1, 4, 6, 2, 5, 3, 4])
    mask_BT = torch.arange(tokens) < lengths_B[:, None]
    mask_BT[1, 2] = mask_BT[4, 0] = False
    old_BT = -noise().abs() - 0.1
    return Batch(
        Signals(
            rewards_B=torch.tensor([2.0, 0.5, 1.5, 2.0, 0.0, 0.5, 2.0, 1.0, 0.5]),
            groups_B=torch.tensor([7, 2, 2, 5, 7, 2, 5, 5, 2]),
            mask_BT=mask_BT,
            reference_log_ratio_BT=0.3 * noise(),
            values_BT=noise(),
            greedy_rewards_B=torch.tensor([0.5, 2.0, 2.0, 0.0, 0.5, 2.0, 0.0, 0.0, 2.0]),
        ),
        logprobs_BT=old_BT + 0.3 * noise(),
        old_BT=old_BT,
        reference_BT=old_BT + 0.3 * noise(),
    ).off_mask(-7.0)


def run(objective: Objective, data: Batch, splits: tuple[int, ...] = (9,)) -> tuple[Loss, torch.Tensor]:
    """Loss and gradient, accumulated over micro-batches of the given numbers of rows."""
    signals = data.signals
    logprobs_BT = data.logprobs_BT.clone().requires_grad_()
    mask_BT = signals.mask_BT
    advantages_BT = torch.where(mask_BT, objective.advantage(signals).values_BT, torch.nan)
    weights_BT = torch.where(mask_BT, objective.reduction(mask_BT), torch.nan)
    columns = (logprobs_BT, data.old_BT, advantages_BT, weights_BT, mask_BT, data.reference_BT)
    losses = [objective.loss(*rows) for rows in zip(*(c.split(splits) for c in columns), strict=True)]
    for loss in losses:
        loss.value.backward()
    metrics = {name: sum(loss.metrics[name] for loss in losses) for name in losses[0].metrics}
    assert logprobs_BT.grad is not None
    return Loss(sum(loss.value.detach() for loss in losses), metrics), logprobs_BT.grad


def assert_same(first, second):
    torch.testing.assert_close(first[0].value, second[0].value, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(first[0].metrics, second[0].metrics, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(first[1], second[1], rtol=1e-4, atol=1e-6)


def advantages(objective: Objective, data: Batch):
    return objective.advantage(data.signals).values_BT


@every_objective
def test_the_first_update_follows_the_policy_gradient(objective):
    data = batch().first_update()
    expected_BT = -objective.reduction(data.signals.mask_BT) * advantages(objective, data)
    torch.testing.assert_close(run(objective, data)[1], expected_BT, rtol=1e-5, atol=1e-7)
    assert expected_BT.abs().max() > 0


@every_objective
def test_on_policy_is_what_looks_at_no_ratio(objective):
    """Where the policy has moved since it sampled, the gradient says so, or the objective does."""
    moved = batch()
    same_BT, moved_BT = run(objective, replace(moved, old_BT=moved.logprobs_BT))[1], run(objective, moved)[1]
    assert torch.equal(same_BT, moved_BT) == objective.on_policy


@every_objective
@pytest.mark.parametrize("splits", [(1,) * 9, (2, 7), (4, 1, 4)])
def test_micro_batches_change_nothing(objective, splits):
    assert_same(run(objective, batch(), splits), run(objective, batch()))


@every_objective
def test_what_may_be_added_to_the_rewards(objective):
    data = batch()
    rewards_B, groups_B = data.signals.rewards_B, data.signals.groups_B
    before_BT = advantages(objective, data)

    def unchanged(shifted_B):
        return torch.allclose(
            advantages(objective, data.rewarded(shifted_B)), before_BT, rtol=1e-4, atol=1e-4
        )

    assert unchanged(rewards_B + 3.0) == (objective.invariant_to != "nothing")
    assert unchanged(rewards_B + groups_B) == (objective.invariant_to == "prompt_constant")


def objectives_where(condition):
    chosen = [o for o in OBJECTIVES if condition(o)]
    return pytest.mark.parametrize("objective", chosen, ids=lambda objective: objective.name)


def without_reference() -> Batch:
    """A first update where the KL in the reward, a signal of its own, is zero."""
    data = batch().first_update()
    return replace(
        data, signals=data.signals._replace(reference_log_ratio_BT=torch.zeros_like(data.logprobs_BT))
    )


@objectives_where(lambda o: o.invariant_to != "nothing")
def test_a_batch_without_spread_gets_no_gradient(objective):
    flat = without_reference().rewarded(torch.full((9,), 1.3))
    assert torch.equal(run(objective, flat)[1], torch.zeros(9, 6))


@objectives_where(lambda o: o.invariant_to == "prompt_constant")
def test_prompts_without_spread_get_no_gradient(objective):
    data = without_reference()
    flat = data.rewarded(1.3 + data.signals.groups_B)
    assert torch.equal(run(objective, flat)[1], torch.zeros(9, 6))


COUPLED = {"reinforce_plus_plus_baseline"}
"""Whitening over tokens moves the zeros of a group without spread: the token mean need not be zero."""


@objectives_where(lambda o: o.min_group >= 2 and o.name not in COUPLED)
def test_a_group_without_spread_gets_no_gradient(objective):
    data = without_reference()
    flat_B = data.signals.groups_B == 2
    gradient_BT = run(objective, data.rewarded(torch.where(flat_B, 0.7, data.signals.rewards_B)))[1]
    assert torch.equal(gradient_BT[flat_B], torch.zeros_like(gradient_BT[flat_B]))
    assert gradient_BT[~flat_B].abs().max() > 0


@every_objective
@pytest.mark.parametrize("junk", [torch.nan, torch.inf, -torch.inf, 1e30])
def test_what_lies_off_the_mask_never_matters(objective, junk):
    data, dirty = batch(), batch().off_mask(junk)
    assert torch.equal(advantages(objective, data), advantages(objective, dirty))
    clean_run, dirty_run = run(objective, data), run(objective, dirty)
    assert torch.equal(clean_run[0].value, dirty_run[0].value)
    assert torch.equal(clean_run[1], dirty_run[1])
    assert torch.equal(
        dirty_run[1][~data.signals.mask_BT], torch.zeros_like(dirty_run[1])[~data.signals.mask_BT]
    )


@every_objective
def test_a_trajectory_that_left_changes_no_other(objective):
    data = batch()
    masked = data.signals.mask_BT.clone()
    masked[1] = False
    rewards_B = data.signals.rewards_B.clone()
    rewards_B[1] = torch.nan
    left = replace(data, signals=data.signals._replace(mask_BT=masked, rewards_B=rewards_B)).off_mask(
        torch.nan
    )
    kept = torch.arange(9) != 1
    removed = data.map(lambda tensor: tensor[kept])
    torch.testing.assert_close(advantages(objective, left)[kept], advantages(objective, removed))
    (left_loss, left_grad), (removed_loss, removed_grad) = run(objective, left), run(objective, removed, (8,))
    assert_same((left_loss, left_grad[kept]), (removed_loss, removed_grad))


@every_objective
@pytest.mark.parametrize(("before", "after"), [(0, 5), (3, 0), (2, 2)])
def test_padding_changes_nothing(objective, before, after):
    data = batch()

    def pad(tensor):
        if tensor.ndim != 2:
            return tensor
        junk = False if tensor.dtype == torch.bool else torch.nan
        return torch.nn.functional.pad(tensor, (before, after), value=junk)

    padded = data.map(pad)
    core = slice(before, before + 6)
    torch.testing.assert_close(advantages(objective, padded)[:, core], advantages(objective, data))
    (loss, gradient), expected = run(objective, padded), run(objective, data)
    assert_same((loss, gradient[:, core]), expected)


@every_objective
def test_the_order_of_trajectories_does_not_matter(objective):
    data, order = batch(), torch.tensor([8, 3, 5, 0, 7, 1, 2, 6, 4])
    shuffled = data.map(lambda tensor: tensor[order])
    torch.testing.assert_close(advantages(objective, shuffled), advantages(objective, data)[order])
    (loss, gradient), (expected_loss, expected_gradient) = run(objective, shuffled), run(objective, data)
    assert_same((loss, gradient), (expected_loss, expected_gradient[order]))


@every_objective
def test_the_numbers_of_groups_do_not_matter(objective):
    data = batch()
    renamed_B = torch.tensor([0, 0, -4, 0, 0, 900, 0, 11])[data.signals.groups_B]
    renamed = replace(data, signals=data.signals._replace(groups_B=renamed_B))
    torch.testing.assert_close(advantages(objective, renamed), advantages(objective, data))


@every_objective
@pytest.mark.parametrize("log_ratio", [-100.0, 100.0])
def test_a_token_far_away_stays_finite(objective, log_ratio):
    data = batch()
    for token in data.signals.mask_BT.nonzero()[:6]:
        old_BT = data.old_BT.clone()
        old_BT[tuple(token)] = data.logprobs_BT[tuple(token)] - log_ratio
        loss, gradient_BT = run(objective, replace(data, old_BT=old_BT))
        assert loss.value.isfinite() and gradient_BT.isfinite().all()


@every_objective
def test_weights_on_the_advantages_are_weights_on_the_loss(objective):
    """What makes multiplying the advantages right for engine mismatch weights."""
    data, mask_BT = batch(), batch().signals.mask_BT
    bare = replace(objective, beta=0.0, divergence=None)
    mismatch_BT = torch.rand(9, 6, generator=torch.Generator().manual_seed(1))
    values_BT, weights_BT = advantages(bare, data), bare.reduction(mask_BT)
    on_advantages = bare.loss(data.logprobs_BT, data.old_BT, mismatch_BT * values_BT, weights_BT, mask_BT)
    on_weights = bare.loss(data.logprobs_BT, data.old_BT, values_BT, mismatch_BT * weights_BT, mask_BT)
    torch.testing.assert_close(on_advantages.value, on_weights.value)


@every_objective
def test_nobody_needs_the_parts_that_a_method_does_not_use(objective):
    """A reference is needed exactly where beta is positive."""
    data = batch()
    if objective.beta == 0:
        signals = data.signals._replace(reference_log_ratio_BT=None)
        values_BT = objective.advantage(signals).values_BT
        weights_BT = objective.reduction(signals.mask_BT)
        loss = objective.loss(data.logprobs_BT, data.old_BT, values_BT, weights_BT, signals.mask_BT)
        torch.testing.assert_close(loss.value, run(objective, data)[0].value)
    elif objective.divergence is None:
        with pytest.raises(ValueError, match="reference_log_ratio_BT"):
            objective.advantage(data.signals._replace(reference_log_ratio_BT=None))


def test_the_layer_imports_only_torch_and_types():
    allowed = ("torch", "stablereward.objectives", "stablereward.types")
    standard = ("collections.abc", "dataclasses", "itertools", "math", "typing")
    for path in Path(stablereward.objectives.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                assert module in standard or module.startswith(allowed), f"{path.name} imports {module}"
