"""A measurement that is killed and goes on."""

import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from stablereward.errors import ConfigError, DataError, EngineError
from stablereward.evaluation.bench import BATCH, Drawn, judge_all, keep_settings, read
from stablereward.evaluation.metrics import summarise
from stablereward.evaluation.score import score_file
from stablereward.judges.controls import always_first, longer_wins
from stablereward.judges.protocol import Opinion
from stablereward.types import Failure, Preference

PAIRS = [
    Preference(question=f"q{i // 2}", responses=("good", "a longer one"), ranks=(i % 2, 1 - i % 2), id="same")
    for i in range(60)
]

SCRIPT = """
import asyncio, sys
from pathlib import Path
from stablereward.evaluation.bench import judge_all
from stablereward.judges.controls import random_choice
from test_bench import PAIRS

class Slow:
    async def opinions(self, preferences, *, votes=1, both_orders=False):
        await asyncio.sleep(0.05)
        return await random_choice(0).opinions(preferences, votes=votes, both_orders=both_orders)

print("ready", flush=True)
judge_all(Slow(), PAIRS, Path(sys.argv[1]), votes=3)
"""


def start(path: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path)], cwd=Path(__file__).parent, stdout=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    return process


def test_rows_know_their_question_and_those_of_before_are_told_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = judge_all(always_first, PAIRS, path)
    assert [row.cluster == rows[0].cluster for row in rows] == [True, True] + [False] * 58
    kept = path.read_text()
    assert [row.cluster for row in read(path)] == [row.cluster for row in rows]
    path.write_text(re.sub(r', "cluster": "\w+"', "", kept))
    assert {row.cluster for row in read(path)} == {""} and len(path.read_text()) < len(kept)
    assert judge_all(always_first, PAIRS, path) == rows


def test_a_killed_and_resumed_run_ends_with_the_bytes_of_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole.jsonl", tmp_path / "broken.jsonl"
    with start(whole) as process:
        assert process.wait(120) == 0
    moments = random.Random(0)
    for _ in range(3):
        with start(broken) as process:
            time.sleep(moments.uniform(0.02, 0.18))
            process.send_signal(signal.SIGKILL)
    killed_at = len(read(broken)) if broken.exists() else 0
    with start(broken) as process:
        assert process.wait(120) == 0
    assert broken.read_bytes() == whole.read_bytes()
    assert killed_at <= len(read(broken)) == len(PAIRS) == len({row.pair for row in read(broken)})


@pytest.mark.parametrize("cut", [0, 1, 200, 0.5, 0.99, -1])
def test_a_file_torn_anywhere_is_mended(cut: float, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = judge_all(longer_wins, PAIRS, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(cut * len(whole)) if 0 < cut < 1 else int(cut)])
    assert judge_all(longer_wins, PAIRS, path) == rows
    assert path.read_bytes() == whole


class Counting:
    """Always first, and how many pairs it was asked about."""

    def __init__(self) -> None:
        self.asked = 0

    async def opinions(
        self, preferences: Sequence[Preference], *, votes: int = 1, both_orders: bool = False
    ) -> list[tuple[Opinion, ...]]:
        self.asked += len(preferences)
        return await always_first.opinions(preferences, votes=votes, both_orders=both_orders)


def test_what_is_judged_is_not_judged_again_and_progress_is_told(tmp_path: Path) -> None:
    judge, told = Counting(), list[int]()
    judge_all(judge, PAIRS[:BATCH], tmp_path / "rows.jsonl")
    assert judge.asked == BATCH
    judge_all(judge, PAIRS, tmp_path / "rows.jsonl", progress=told.append)
    assert judge.asked == len(PAIRS)
    assert told == [16, 32, 48, 60]
    moved = judge_all(judge, PAIRS[::-1], tmp_path / "rows.jsonl")
    # The two pairs of each question are told apart by which comes first, so the labels stay with the rows.
    assert judge.asked == len(PAIRS) and len(moved) == len(PAIRS)


def test_the_rows_are_ordinary_rows(tmp_path: Path) -> None:
    judge_all(always_first, PAIRS, tmp_path / "rows.jsonl")
    assert score_file(tmp_path / "rows.jsonl", "vl_rewardbench", "stablereward").value("overall") == 50.0


def test_a_line_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": "1"}\n')
    with pytest.raises(DataError, match=r"rows.jsonl:1: not a row of an evaluation"):
        judge_all(always_first, PAIRS, path)


def test_a_drawn_order_is_read_back_in_the_stored_one(tmp_path: Path) -> None:
    rows = judge_all(Drawn(always_first, seed=0), PAIRS, tmp_path / "first.jsonl", both_orders=False)
    shown = [row.votes[0].judgements[0].order for row in rows]
    assert {(0, 1), (1, 0)} == set(shown)
    assert [row.votes[0].choice for row in rows] == [order[0] for order in shown]
    assert summarise(rows).first_shown == 1.0
    longer = judge_all(Drawn(longer_wins, seed=0), PAIRS, tmp_path / "longer.jsonl", both_orders=False)
    assert {row.votes[0].choice for row in longer} == {1}


class Down:
    """A server that is not there, or a judge that says nothing of use."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    async def opinions(
        self, preferences: Sequence[Preference], *, votes: int = 1, both_orders: bool = False
    ) -> list[tuple[Opinion, ...]]:
        return [(Failure(reason=self.reason),) * votes * (1 + both_orders) for _ in preferences]


def test_a_server_that_is_down_leaves_nothing_behind(tmp_path: Path) -> None:
    for reason in ("unreachable", "http_503"):
        with pytest.raises(EngineError, match=f"no answer to 32 prompts .{reason}"):
            judge_all(Down(reason), PAIRS, tmp_path / "rows.jsonl")
    assert not (tmp_path / "rows.jsonl").exists()
    rows = judge_all(Down("no_answer"), PAIRS, tmp_path / "rows.jsonl")
    assert summarise(rows).parse_failures == 1.0


def test_settings_are_kept_once_there_are_rows(tmp_path: Path) -> None:
    rows = tmp_path / "run" / "rows.jsonl"
    keep_settings(rows, {"votes": 1})
    keep_settings(rows, {"votes": 2})
    judge_all(always_first, PAIRS[:1], rows)
    keep_settings(rows, {"votes": 2})
    with pytest.raises(ConfigError, match="votes 2 there, 3 now"):
        keep_settings(rows, {"votes": 3})
