import math
from pathlib import Path

import pytest
import torch

from stablereward.lab import outcome as outcomes
from stablereward.lab.outcome import Watch, consistent_share, course, read, write
from stablereward.training.policy_gradient import Observed, Share
from stablereward.types import Judgement, Row, Vote

from .made import START, outcome


@pytest.mark.parametrize(
    ("accuracy", "changed", "collapsed"),
    [
        (START, {}, False),
        (START - 0.099, {}, False),
        (START - 0.1, {}, True),
        (0.9, {"readable": 0.5}, False),
        (0.9, {"readable": 0.49}, True),
        (0.9, {"skipped": 1}, True),
        (0.9, {"stopped": "too many failures"}, True),
    ],
)
def test_when_a_run_counts_as_collapsed(accuracy, changed, collapsed):
    assert outcome("calm", "ppo", 0, accuracy, **changed).collapsed == collapsed


def test_an_outcome_is_read_back_and_a_torn_one_is_none(tmp_path: Path):
    made = outcome("stress", "grpo", 2, 0.5, consistent=None, worst_log_ratio=None, stopped="why")
    write(tmp_path, made)
    assert read(tmp_path) == made
    assert '"collapsed": true' in (tmp_path / outcomes.FILE).read_text()
    (tmp_path / outcomes.FILE).write_text('{"arm": "gr')
    assert read(tmp_path) is None and read(tmp_path / "nowhere") is None


def seen(advantages: list[float], log_ratios: list[float]) -> Observed:
    advantages_BT, moved_BT = torch.tensor([advantages]), torch.tensor([log_ratios])
    zero_BT = torch.zeros_like(moved_BT)
    share = Share(
        groups=(), cost=0, rows_B=torch.zeros(1), mask_BT=torch.tensor([[True, True, False]]),
        advantages_BT=advantages_BT, weights_BT=zero_BT, engine_logprobs_BT=zero_BT,
    )  # fmt: skip
    return Observed(share, moved_BT - 1, zero_BT - 1, zero_BT)


def test_the_watch_keeps_what_is_largest_finite_and_on_the_mask():
    watch = Watch()
    watch(seen([1.0, -2.5, 99.0], [math.nan, -0.5, 99.0]))
    watch(seen([2.0, 0.0, 99.0], [0.25, math.inf, 99.0]))
    assert (watch.advantage, watch.log_ratio) == (2.5, 0.5)


def test_a_course_by_hand():
    names = ("advantages/max_abs", "advantages/filtered", "policy/entropy", "completions/length")
    rows = [
        dict(zip((*names, "update/skipped", "reward/mean"), values, strict=True))
        for values in [(2.0, 0.1, 0.5, 20.0, 0.0, 1.0), (math.nan, 0.3, 0.4, 15.0, 1.0, 1.5)]
    ]
    found = course(rows, Watch())
    assert (found.updates, found.skipped, found.worst_advantage) == (2, 1, 2.0)
    assert found.filtered == pytest.approx(0.2) and found.min_entropy == 0.4 and found.reward == 1.5
    assert found.length_change == pytest.approx(-0.25)
    assert found.max_kl is None and found.worst_log_ratio is None
    assert course([], Watch()).length_change is None


def test_consistency_is_read_in_the_order_that_was_shown():
    def vote(choice: int, order: tuple[int, int]) -> Vote:
        judgement = Judgement(choice=choice, reasoning="Response 1 is right.", order=order)
        return Vote(choice=choice, probabilities=(0.5, 0.5), judgements=(judgement,))

    unread = Vote(choice=None, probabilities=(0.0, 0.0))
    rows = [
        Row(id="a", category="", best=0, votes=(vote(0, (0, 1)), vote(1, (1, 0)))),
        Row(id="b", category="", best=0, votes=(vote(0, (1, 0)), unread)),
    ]
    assert consistent_share(rows) == pytest.approx(2 / 3)
    assert consistent_share([Row(id="c", category="", best=0, votes=(unread, unread))]) is None
