"""The cold start's loss is the mean over tokens, however it is cut; what is shown is learnt."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from stablereward.engines.engine import Sampling
from stablereward.engines.hf import HFEngine
from stablereward.policies.completions import Demonstrations, completions
from stablereward.policies.token import TokenPolicy
from stablereward.training.fit import fit
from stablereward.training.imitation import SFTConfig, Share, imitation_batches, imitation_loss
from stablereward.training.optim import OptimConfig, adamw
from stablereward.types import Failure, Prompt
from tests.policies.families import ONE_IMAGE, TEXT_ONLY, TWO_IMAGES, make, plain_logprobs

WHOLE = 10**6
SHOWN = [
    (ONE_IMAGE, "<think>Look: red circle.</think><answer>1</answer>"),
    (TWO_IMAGES, "<think>Response 2 is longer.</think><answer>2</answer>"),
    (TEXT_ONLY, "<answer>2</answer>"),
    (ONE_IMAGE, "It says <|image_pad|>, <|im_end|> and <|im_start|>."),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("sft")
    make("qwen2_5_vl", made)
    return made


@pytest.fixture
def policy(folder: Path) -> TokenPolicy:
    return TokenPolicy.load(folder, device="cpu")


def batch(policy: TokenPolicy, token_budget: int, shown: Sequence[tuple[Prompt, str]] = SHOWN) -> list[Share]:
    config = SFTConfig(batch_size=len(shown), token_budget=token_budget)
    [shares] = imitation_batches(Demonstrations(policy, shown), completions(policy).costs, config, seed=0)
    return shares


def totals(policy: TokenPolicy, shares: Sequence[Share]) -> tuple[float, float]:
    """Loss and entropy of a batch; its gradients are left in the policy."""
    losses = [imitation_loss(completions(policy).score, share) for share in shares]
    policy.zero_grad()
    for loss in losses:
        loss.value.backward()  # type: ignore[no-untyped-call]
    return (
        sum(float(loss.value.detach()) for loss in losses),
        sum(float(loss.metrics["policy/entropy"]) for loss in losses),
    )


def test_the_loss_is_the_mean_over_tokens_of_what_each_has_alone(policy: TokenPolicy) -> None:
    loss, _ = totals(policy, batch(policy, WHOLE))
    [share] = batch(policy, WHOLE)
    with torch.no_grad():
        alone = [
            plain_logprobs(policy, prompt, group.trajectories[0].token_ids)
            for prompt, text in SHOWN
            for group in share.groups
            if policy.tokenizer.decode(group.trajectories[0].token_ids) == f"{text}<|im_end|>"
        ]
    assert len(alone) == 4
    logprobs = torch.cat(alone)
    assert loss == pytest.approx(-float(logprobs.mean()), abs=1e-5)
    # Not the mean of means: long demonstrations weigh more.
    assert abs(loss + float(torch.stack([each.mean() for each in alone]).mean())) > 1e-3


@pytest.mark.parametrize("token_budget", [1, 60, 130])
def test_the_token_budget_never_matters(policy: TokenPolicy, token_budget: int) -> None:
    whole = totals(policy, batch(policy, WHOLE))
    expected = {n: p.grad.clone() for n, p in policy.named_parameters() if p.grad is not None}
    shares = batch(policy, token_budget)
    assert len(shares) > 1
    assert totals(policy, shares) == pytest.approx(whole, abs=1e-5)
    for name, parameter in policy.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(parameter.grad, expected[name], atol=1e-5, rtol=1e-4, msg=name)
    assert max(float(gradient.abs().max()) for gradient in expected.values()) > 1e-3


def test_a_control_token_spelled_out_in_a_demonstration_stays_text(policy: TokenPolicy) -> None:
    [share] = batch(policy, WHOLE, SHOWN[3:])
    [shown] = share.groups[0].trajectories
    ids = shown.token_ids
    assert ids[-1] == policy.tokenizer.eos_token_id
    assert not {*ids[:-1]} & {*policy.suppressed, *policy.stop_ids}
    assert policy.tokenizer.decode(ids[:-1]) == SHOWN[3][1]
    think = policy.tokenizer.convert_tokens_to_ids("<think>")
    assert batch(policy, WHOLE, SHOWN[:1])[0].groups[0].trajectories[0].token_ids[0] == think


def test_one_demonstration_is_learnt_by_heart(policy: TokenPolicy) -> None:
    shown, config = SHOWN[:1], SFTConfig(epochs=12, batch_size=1)
    optim = OptimConfig(learning_rate=1e-2)
    policy.train()
    updates = fit(
        policy.parameters(),
        imitation_batches(Demonstrations(policy, shown), completions(policy).costs, config, seed=0),
        lambda share: imitation_loss(completions(policy).score, share),
        optimizer=adamw(policy.parameters(), optim),
        learning_rate=lambda update: optim.learning_rate,
    )
    losses = [update.metrics["loss"] for update in updates]
    assert len(losses) == 12 and losses[-1] < 0.1 < 3 < losses[0]
    [answer] = HFEngine(policy).sample([ONE_IMAGE], Sampling(temperature=0.0, max_completion_length=64))
    assert not isinstance(answer, Failure)
    assert answer[0].text == shown[0][1] and answer[0].finished


@pytest.mark.parametrize(
    ("epochs", "num", "updates"), [(1.0, 512, 2), (3.0, 100, 1), (0.1, 10, 1), (2.5, 256, 2), (2.0, 384, 3)]
)
def test_updates_show_every_demonstration_so_often(epochs: float, num: int, updates: int) -> None:
    assert SFTConfig(epochs=epochs, batch_size=256).num_updates(num) == updates


def test_batches_go_on_after_an_update(policy: TokenPolicy) -> None:
    config = SFTConfig(epochs=3, batch_size=2)
    shown, costs = Demonstrations(policy, SHOWN), completions(policy).costs
    whole = list(imitation_batches(shown, costs, config, seed=5))
    rest = list(imitation_batches(shown, costs, config, seed=5, start=2))
    assert len(whole) == 6 and len(rest) == 4
    whole_batches = [[g.trajectories for share in shares for g in share.groups] for shares in whole]
    assert [[g.trajectories for share in shares for g in share.groups] for shares in rest] == whole_batches[
        2:
    ]
    # Each pass shows every demonstration once.
    assert all(
        len({*first, *second}) == 4
        for first, second in zip(whole_batches[::2], whole_batches[1::2], strict=True)
    )
