"""Faults put into a real run: it goes on or stops as stated, and the culprit is named in its folder."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stablereward.data.toy.pairs import pairs
from stablereward.errors import ModelError, TrainingError
from stablereward.objectives.named import grpo, ppo, stable_reinforce
from stablereward.objectives.objective import Objective
from stablereward.policies.token import Scored, TokenPolicy
from stablereward.policies.tree import Tree
from stablereward.recipes.stages import Hardware, reinforce
from stablereward.rewards.reward import Sample
from stablereward.runs.folder import RunFolder
from stablereward.training import checkpoint
from stablereward.training.optim import OptimConfig
from stablereward.training.policy_gradient import RLConfig
from stablereward.training.protection import Protection
from stablereward.types import Failure, Reward

TOY = [replace(pair.preference(), id=f"pair {n}") for n, pair in enumerate(pairs(6, seed=11))]
# Hot enough that no two samples are the same.
RL = RLConfig(
    num_updates=1,
    prompts_per_batch=3,
    num_generations=3,
    updates_per_batch=1,
    temperature=3.0,
    max_completion_length=12,
    max_failure_rate=0.5,
    optim=OptimConfig(learning_rate=1e-3, schedule="constant", warmup=0.0),
)
CPU = Hardware(device="cpu", save_every=1)


def vowels(sample: Sample) -> Reward:
    text = sample.completion.text
    return Reward(value=sum(text.count(vowel) for vowel in "aeiou") / (1 + len(text)))


def train(folder: Path, reward: Callable[[Sample], Reward | Failure] = vowels, **settings: Any) -> None:
    """A run as a process would make it, or go on with it."""
    run = RunFolder(folder)
    run.open("", resume=(folder / "config.yaml").exists())
    objective: Objective = settings.pop("objective", stable_reinforce())
    hardware, protection = settings.pop("hardware", CPU), settings.pop("protection", None)
    config = replace(RL, **settings)
    reinforce(run, "toy-base", TOY, reward, objective, config, hardware, keep_every=1, protection=protection)


def lines(folder: Path, name: str = "metrics.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


def updates(folder: Path) -> list[dict[str, Any]]:
    return [row for row in lines(folder) if "event" not in row]


def events(folder: Path, name: str) -> list[dict[str, Any]]:
    return [row for row in lines(folder) if row.get("event") == name]


def weights(folder: Path) -> dict[str, Tensor]:
    return parameters(folder / "judge")


def parameters(model: Path | str) -> dict[str, Tensor]:
    policy = TokenPolicy.load(model, device="cpu")
    return {name: parameter.detach() for name, parameter in policy.named_parameters()}


def distance(ours: Path, theirs: Path) -> float:
    a, b = weights(ours), weights(theirs)
    return max(float((a[name] - b[name]).abs().max()) for name in a)


Spoil = Callable[[Scored, Tensor], Scored]


def spoilt_logits(scored: Scored, hit_BT: Tensor) -> Scored:
    return scored._replace(
        logprobs_BT=torch.where(hit_BT, torch.nan, scored.logprobs_BT),
        entropy_BT=torch.where(hit_BT, torch.nan, scored.entropy_BT),
    )


def spoilt_gradient(scored: Scored, hit_BT: Tensor) -> Scored:
    if scored.logprobs_BT.requires_grad:
        scored.logprobs_BT.register_hook(lambda grad_BT: torch.where(hit_BT, torch.inf, grad_BT))
    return scored


class Fault:
    """Spoils what the policy says of one sample, the second of the first training forward pass."""

    def __init__(self, spoil: Spoil, monkeypatch: pytest.MonkeyPatch) -> None:
        self.culprit: tuple[int, ...] | None = None
        self.spoil, self.healthy = spoil, TokenPolicy.forward
        monkeypatch.setattr(TokenPolicy, "forward", lambda policy, *given: self.forward(policy, *given))

    def forward(self, policy: TokenPolicy, tree: Tree, temperature: float = 1.0) -> Scored:
        samples = [tuple(ids[mask].tolist()) for ids, mask in zip(tree.targets_BT, tree.mask_BT, strict=True)]
        if self.culprit is None:
            self.culprit = samples[1]
        hit_B = torch.tensor([sample == self.culprit for sample in samples])
        return self.spoil(self.healthy(policy, tree, temperature), hit_B[:, None] & tree.mask_BT)

    def fails(self, sample: Sample) -> Reward | Failure:
        """The reward that fails for the sample."""
        return Failure(reason="not_finite") if sample.completion.token_ids == self.culprit else vowels(sample)


@pytest.mark.parametrize(
    ("spoil", "tensor"),
    [(spoilt_logits, "log-probabilities"), (spoilt_gradient, "gradient of ")],
    ids=["logits", "gradient"],
)
@pytest.mark.parametrize("make", [stable_reinforce, grpo, ppo], ids=lambda make: make.__name__)
def test_a_sample_that_is_not_finite_is_named_and_left_out(
    spoil: Spoil, tensor: str, make: Callable[[], Objective], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fault = Fault(spoil, patch)
        train(tmp_path / "spoilt", objective=make())
    train(tmp_path / "without", fault.fails, objective=make())
    # The update is the one in which the sample had failed, and healthy samples have their part in it.
    assert distance(tmp_path / "spoilt", tmp_path / "without") <= 1e-6
    start = parameters("toy-base")
    moved = weights(tmp_path / "spoilt")
    assert max(float((moved[name] - start[name]).abs().max()) for name in moved) > 1e-5
    [row], [other] = updates(tmp_path / "spoilt"), updates(tmp_path / "without")
    assert (row.pop("update/dropped"), other.pop("update/dropped")) == (1.0, 0.0)
    assert row["update/skipped"] == 0.0 and row["failures/not_finite"] == 1.0
    assert row == pytest.approx(other, abs=1e-5, nan_ok=True)
    [event] = events(tmp_path / "spoilt", "non_finite")
    assert (event["stage"], event["update"]) == ("rl", 1)
    assert event["tensor"].startswith(tensor) and event["action"] == "update made without it"
    [dropped] = events(tmp_path / "spoilt", "dropped_sample")
    assert dropped["sample"] == event["sample"]
    # The name leads to the sample among the kept rollouts.
    groups = lines(tmp_path / "spoilt", "rollouts/rl-000001.jsonl")
    failed = [
        (p + 1, c + 1)
        for p, group in enumerate(groups)
        for c, one in enumerate(group["completions"])
        if one["failure"]
    ]
    assert [f"prompt {p} ('pair {p - 1}'), completion {c}" for p, c in failed] == [event["sample"]]


def test_where_every_sample_is_bad_the_update_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        Fault(lambda scored, _: spoilt_logits(scored, torch.ones_like(scored.logprobs_BT).bool()), patch)
        train(tmp_path, num_updates=2)
    assert [row["update/skipped"] for row in updates(tmp_path)] == [1.0, 1.0]
    assert [row["update/dropped"] for row in updates(tmp_path)] == [0.0, 0.0]
    actions = {event["action"] for event in events(tmp_path, "non_finite")}
    assert actions == {"update skipped, for no sample is healthy"}
    start = parameters("toy-base")
    assert all(torch.equal(value, start[name]) for name, value in weights(tmp_path).items())
    # What cannot be drawn is left out of the distributions, and every line is still JSON as others read it.
    for line in (tmp_path / "distributions.jsonl").read_text().splitlines():
        quantities = json.loads(line, parse_constant=pytest.fail)["quantities"]
        assert quantities["policy/log_ratio"]["count"] == 0 < quantities["policy/log_ratio"]["not_finite"]


def test_a_weight_that_is_not_finite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It turns bad after the samples were drawn; then no update is made any more."""
    healthy = TokenPolicy.forward

    def forward(policy: TokenPolicy, tree: Tree, temperature: float = 1.0) -> Scored:
        with torch.no_grad():
            policy.model.get_decoder().norm.weight[3] = torch.nan
        return healthy(policy, tree, temperature)

    monkeypatch.setattr(TokenPolicy, "forward", forward)
    train(tmp_path)
    [event] = events(tmp_path, "non_finite")
    assert event["tensor"] == "weights model.model.language_model.norm.weight"
    assert "sample" not in event and event["action"] == "update skipped"
    assert updates(tmp_path)[0]["update/skipped"] == 1.0


def raising(sample: Sample) -> Reward:
    raise ZeroDivisionError("no votes")


def infinite(sample: Sample) -> Reward:
    return Reward(value=float("inf"))


@pytest.mark.parametrize(
    ("broken", "reason", "detail"),
    [
        (raising, "reward_raised", "ZeroDivisionError: no votes"),
        (infinite, "non_finite_reward", "value is inf"),
    ],
)
def test_a_sample_whose_reward_breaks_is_named_and_left_out(
    broken: Callable[[Sample], Reward], reason: str, detail: str, tmp_path: Path
) -> None:
    seen: list[tuple[int, ...]] = []

    def fifth_breaks(sample: Sample) -> Reward:
        seen.append(sample.completion.token_ids)
        return broken(sample) if len(seen) == 5 else vowels(sample)

    def fifth_fails(sample: Sample) -> Reward | Failure:
        return Failure(reason="known") if sample.completion.token_ids == seen[4] else vowels(sample)

    train(tmp_path / "broken", fifth_breaks)
    train(tmp_path / "failed", fifth_fails)
    assert distance(tmp_path / "broken", tmp_path / "failed") == 0.0
    [event] = events(tmp_path / "broken", "failed_sample")
    assert event["sample"] == "prompt 2 ('pair 1'), completion 2"
    assert (event["update"], event["reason"], event["detail"]) == (1, reason, detail)
    assert updates(tmp_path / "broken")[0][f"failures/{reason}"] == 1.0


def test_a_reward_that_always_raises_stops_the_run_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"9 of 9 samples have no reward \(9 reward_raised: Zero"):
        train(tmp_path, raising)
    [event] = events(tmp_path, "stopped")
    assert "ZeroDivisionError: no votes" in event["reason"]


def test_an_exploding_gradient_is_skipped_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy, calls = TokenPolicy.forward, [0]

    def forward(policy: TokenPolicy, tree: Tree, temperature: float = 1.0) -> Scored:
        scored = healthy(policy, tree, temperature)
        calls[0] += 1
        if calls[0] == 12:
            scored.logprobs_BT.register_hook(lambda grad_BT: grad_BT * 1e6)
        return scored

    monkeypatch.setattr(TokenPolicy, "forward", forward)
    optim = replace(RL.optim, max_grad_norm_ratio=50.0)
    train(tmp_path, num_updates=13, num_generations=2, optim=optim, max_completion_length=6)
    [event] = events(tmp_path, "exploding_gradient")
    assert event["update"] == 12 and event["value"] > 100 * event["bound"] / 50
    assert [row["update"] for row in updates(tmp_path) if row["update/skipped"]] == [12]


def stop_after(folder: Path, update: int, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
    """Trains until an update is logged, as if the process had been killed then."""

    class Killed(BaseException):
        pass

    log = RunFolder.log

    def logging(run: RunFolder, stage: str, number: int, *given: Any, **named: Any) -> None:
        log(run, stage, number, *given, **named)
        if number == update:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "log", logging)
        with pytest.raises(Killed):
            train(folder, **settings)


def test_a_corrupt_newest_checkpoint_is_named_and_the_one_before_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tmp_path / "whole", num_updates=4)
    stop_after(tmp_path / "broken", 4, monkeypatch, num_updates=4)
    assert [c.update for c in checkpoint.find(tmp_path / "broken", "rl")] == [2, 3]
    newest = tmp_path / "broken/checkpoints/rl-000003/trainer/trained.safetensors"
    newest.write_bytes(newest.read_bytes()[:1000])
    train(tmp_path / "broken", num_updates=4)
    [event] = events(tmp_path / "broken", "checkpoint_unreadable")
    assert event["update"] == 2 and "rl-000003: does not fit the run" in event["reason"]
    assert updates(tmp_path / "broken") == updates(tmp_path / "whole")
    assert distance(tmp_path / "broken", tmp_path / "whole") == 0.0


def test_without_a_checkpoint_that_can_be_read_the_run_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(tmp_path, 4, monkeypatch, num_updates=4)
    for found in checkpoint.find(tmp_path, "rl"):
        (found.path / "trainer/state.json").write_text("{")
    with pytest.raises(ModelError, match=r"rl-000003: .*no older one can be read either"):
        train(tmp_path, num_updates=4)


# Every reward is below this bound: the rule is broken in each update.
ALWAYS = Protection(patience=2, min_reward=1e9)


def test_a_collapsed_run_stops_with_its_state(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"the run has collapsed: reward/mean is .* of rule min_reward"):
        train(tmp_path, num_updates=6, protection=ALWAYS)
    assert [row["update"] for row in updates(tmp_path)] == [1, 2]
    [collapse], [stopped] = events(tmp_path, "collapse"), events(tmp_path, "stopped")
    assert (collapse["update"], collapse["rule"], collapse["bound"]) == (2, "min_reward", 1e9)
    assert "min_reward" in stopped["reason"]
    assert checkpoint.find(tmp_path, "rl")[-1].update == 2


BACK = replace(ALWAYS, action="rollback", max_rollbacks=1)


def test_a_rollback_is_the_good_checkpoint_at_a_lower_rate(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="after 1 rollbacks"):
        train(tmp_path, num_updates=9, protection=BACK)
    assert [row["update"] for row in updates(tmp_path)] == [1, 2, 3, 4]
    assert [row["learning_rate/factor"] for row in updates(tmp_path)] == [1.0, 1.0, 0.5, 0.5]
    assert [row["learning_rate"] for row in updates(tmp_path)] == [1e-3, 1e-3, 5e-4, 5e-4]
    [rollback] = events(tmp_path, "rollback")
    assert (rollback["update"], rollback["to_update"], rollback["learning_rate_factor"]) == (2, 0, 0.5)
    # The weights of update 2 are those of the start again.
    [back] = [c for c in checkpoint.find(tmp_path, "rl") if c.update == 2]
    kept = parameters(back.path)
    assert all(torch.equal(kept[name], value) for name, value in parameters("toy-base").items())


THRICE: dict[str, Any] = {
    "num_updates": 6,
    "num_generations": 2,
    "max_completion_length": 6,
    "protection": replace(BACK, max_rollbacks=3),
    "hardware": replace(CPU, save_every=3),
}
"""Three rollbacks, and a checkpoint of collapsing weights between them."""


@pytest.fixture(scope="module")
def thrice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("thrice")
    train(folder, **THRICE)
    assert len(events(folder, "rollback")) == 3
    return folder


@pytest.mark.parametrize("update", [2, 4, 5])
def test_a_killed_run_with_rollbacks_ends_with_the_same_bytes(
    update: int, thrice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_after(tmp_path, update, monkeypatch, **THRICE)
    train(tmp_path, **THRICE)
    for name in ("metrics.jsonl", "distributions.jsonl"):
        assert (thrice / name).read_bytes() == (tmp_path / name).read_bytes()
    assert distance(thrice, tmp_path) == 0.0
