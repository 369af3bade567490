"""What the recorder writes is what the update was made of."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from stablereward.objectives.named import stable_reinforce
from stablereward.policies.completions import describe, pieces, repetition
from stablereward.policies.token import TokenPolicy
from stablereward.runs.folder import RunFolder
from stablereward.training.collect import Collected
from stablereward.training.policy_gradient import Observed, Share
from stablereward.training.recorder import Recorder, spread
from stablereward.types import Completion, Failure, Group, Prompt, Reward


def test_a_spread_by_hand() -> None:
    found = spread(torch.tensor([4.0, 0.0, 1.0, 3.0, 2.0, math.nan, math.inf]))
    assert found == {
        "count": 5,
        "mean": 2.0,
        "std": pytest.approx(2**0.5, abs=1e-5),
        "quantiles": [0.0, 0.04, 0.2, 1.0, 2.0, 3.0, 3.8, 3.96, 4.0],
        "not_finite": 2,
    }
    assert spread(torch.tensor([7.0]))["quantiles"] == [7.0] * 9
    assert spread(torch.tensor([])) == {"count": 0}
    assert spread(torch.tensor([math.nan])) == {"count": 0, "not_finite": 1}


def test_quantiles_are_those_of_torch() -> None:
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    places = torch.tensor([0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1], dtype=torch.float64)
    assert spread(values)["quantiles"] == pytest.approx(values.quantile(places).tolist(), rel=1e-5)


@pytest.mark.parametrize(
    ("ids", "share"),
    [
        ((), 0.0),
        ((1, 2, 3), 0.0),
        ((1, 2, 3, 4, 5), 0.0),
        ((7, 7, 7, 7, 7), 0.5),
        # Runs 1212, 2121, 1212: two of three differ.
        ((1, 2, 1, 2, 1, 2), 1 / 3),
        ((7,) * 103, 0.99),
    ],
)
def test_repetition_by_hand(ids: tuple[int, ...], share: float) -> None:
    assert repetition(ids) == pytest.approx(share)


def collected() -> Collected:
    rollouts = Group(
        prompt=Prompt.user(text="…"),
        trajectories=(
            Completion(text="a", token_ids=(7, 7, 7, 7, 7)),
            Completion(text="b", token_ids=(1, 2)),
        ),
        rewards=(Reward(value=1.5, parts={"format": 1.0}), Reward(value=0.5)),
    )
    failed = Group(
        prompt=Prompt.user(text="…"),
        trajectories=(Completion(text="c", token_ids=(3,)),),
        rewards=(Failure(reason="referee_failed", detail="down"),),
    )
    return Collected(groups=(rollouts, failed), advantages=((1.0, -1.0), (None,)), metrics={})


def observed(log_ratio_BT: Tensor, advantages_BT: Tensor, mask_BT: Tensor, rows: list[int]) -> Observed:
    zeros_BT = torch.zeros_like(log_ratio_BT)
    share = Share(
        groups=(),
        cost=0,
        rows_B=torch.tensor(rows),
        mask_BT=mask_BT,
        advantages_BT=advantages_BT,
        weights_BT=mask_BT / mask_BT.sum(),
        engine_logprobs_BT=zeros_BT - 0.5,
    )
    return Observed(share, log_ratio_BT, zeros_BT, zeros_BT + 2)


MASK_BT = torch.tensor([[True, True], [True, False]])


def test_an_update_is_a_line(tmp_path: Path) -> None:
    recorder = Recorder(RunFolder(tmp_path), "rl", describe)
    log_ratio_BT = torch.tensor([[0.0, -1.0], [0.5, math.nan]])
    recorder.observe(observed(log_ratio_BT + 9, MASK_BT.float(), MASK_BT, [0, 1]))
    recorder.forget()
    recorder.observe(observed(log_ratio_BT[:1], MASK_BT.float()[:1], MASK_BT[:1], [0]))
    recorder.observe(observed(log_ratio_BT[1:], MASK_BT.float()[1:], MASK_BT[1:], [1]))
    figures = recorder.record(12, collected())
    assert figures == {
        "policy/ratio_max": pytest.approx(math.exp(0.5)),
        "policy/log_ratio_max": 1.0,
    }
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {
        "event": "failed_sample",
        "stage": "rl",
        "update": 12,
        "sample": "prompt 2, completion 1",
        "reason": "referee_failed",
        "detail": "down",
    }
    (line,) = (tmp_path / "distributions.jsonl").read_text().splitlines()
    row = json.loads(line)
    quantities = row.pop("quantities")
    assert row == {"stage": "rl", "update": 12}
    assert {name: q["count"] for name, q in quantities.items()} == {
        "reward": 2,
        "reward/format": 1,
        "advantages": 2,
        "completions/length": 3,
        "completions/clipped": 3,
        "completions/repetition": 3,
        "policy/log_ratio": 3,
        "policy/entropy": 3,
        "policy/engine_gap": 3,
    }
    assert quantities["policy/log_ratio"]["quantiles"][::4] == [-1.0, 0.0, 0.5]
    assert quantities["policy/entropy"]["mean"] == 2.0
    assert quantities["policy/engine_gap"]["quantiles"][::8] == [-0.5, 1.0]
    assert quantities["completions/length"]["mean"] == pytest.approx(8 / 3, abs=1e-5)


def test_the_next_update_starts_anew_and_may_have_no_tokens(tmp_path: Path) -> None:
    recorder = Recorder(RunFolder(tmp_path), "rl", describe)
    recorder.observe(observed(torch.zeros((2, 2)), MASK_BT.float(), MASK_BT, [0, 1]))
    recorder.record(1, collected())
    assert recorder.record(2, collected()) == {}
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2
    rows = [json.loads(line) for line in (tmp_path / "distributions.jsonl").read_text().splitlines()]
    assert rows[0]["quantities"]["policy/log_ratio"]["std"] == 0.0
    assert "policy/log_ratio" not in rows[1]["quantities"]


def test_flags_name_the_tokens_that_a_bound_decided(tmp_path: Path) -> None:
    recorder = Recorder(RunFolder(tmp_path), "rl", describe)
    # Ratios e, 1/e, 1 and far beyond the pre-clip's thousand; the last is off the mask.
    log_ratio_BT = torch.tensor([[1.0, -1.0, 0.0], [-9.0, 9.0, 9.0]])
    advantages_BT = torch.tensor([[1.0, -1.0, 1.0], [1.0, -1.0, 1.0]])
    mask_BT = torch.tensor([[True, True, True], [True, True, False]])
    recorder.observe(observed(log_ratio_BT, advantages_BT, mask_BT, [4, 2]))
    assert recorder.flags(stable_reinforce(dual_clip=3.0)) == {
        4: {"high": [0], "low": [1]},
        2: {"preclip": [0, 1], "dual": [1]},
    }
    recorder.forget()
    assert recorder.flags(stable_reinforce()) == {}
    said = observed(log_ratio_BT, advantages_BT, mask_BT, [4, 2])
    weights_BT = mask_BT.float() * torch.tensor([[1.0], [0.0]])
    recorder.observe(said._replace(share=replace(said.share, weights_BT=weights_BT)))
    assert list(recorder.flags(stable_reinforce())) == [4], "what has no part in the loss was not decided"


@pytest.mark.parametrize("text", ["The cat sat.\n  On it.", "naïve – 猫が座った 🙂!", ""])
def test_the_pieces_of_a_text_are_the_text(text: str) -> None:
    tokenizer = TokenPolicy.load("toy-base", device="cpu").tokenizer
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    found = pieces(tokenizer, ids)
    assert len(found) == len(ids)
    assert "".join(found) == tokenizer.decode(ids)


def test_a_text_cut_within_a_character_still_has_a_piece_for_each_token() -> None:
    tokenizer = TokenPolicy.load("toy-base", device="cpu").tokenizer
    ids = tokenizer("a 🙂", add_special_tokens=False)["input_ids"][:-1]
    assert len(pieces(tokenizer, ids)) == len(ids) and pieces(tokenizer, ids)[0].startswith("a")
