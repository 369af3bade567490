"""GenAI-Bench: four classes and a greedy pattern."""

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from stablereward.evaluation.benchmarks.genai_bench import BENCHMARK, agrees, average, load, parse
from stablereward.evaluation.records import Judged
from stablereward.evaluation.tables import Figure
from stablereward.types import images_of


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("[[A>B]]", "A>B"),
        ("Model B is better: [[B>>A]].", "B>>A"),
        ("[[A>B]] or [[B>A]]", "A>B]] or [[B>A"),
        ("[[A>\nB]] then [[A=B=Bad]]", "A=B=Bad"),
        ("A is better", None),
    ],
)
def test_the_greedy_pattern(text: str, verdict: str | None) -> None:
    assert parse(text) == verdict


@pytest.mark.parametrize(
    ("label", "verdict", "right"),
    [
        ("A>B", "A>>B", True),
        ("A>B", "B>A", False),
        ("A=B=Good", "A=B", True),
        ("A=B=Bad", "A=B", True),
        ("A=B=Bad", "A=B=Good", False),
        ("A>B", "A=B", False),
        ("A>B", None, False),
        ("A>B", "A>B]] or [[B>A", False),
    ],
)
def test_when_a_verdict_is_right(label: str, verdict: str | None, right: bool) -> None:
    assert agrees(Judged(label=label, verdict=verdict)) is right


def test_the_average_is_taken_of_rounded_scores() -> None:
    assert average([Figure(name="a", value=1.004), Figure(name="b", value=2.004)]).value == 1.5


def write(path: Path, *rows: tuple[int, str, str | None, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        {"idx": i, "response": text, "model_vote": stored, "human_vote": human, "correct": False}
        for i, text, stored, human in rows
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_repeated_rows_count_once_and_stored_verdicts_are_checked(tmp_path: Path) -> None:
    path = write(
        tmp_path / "image_edition/model/pairwise.jsonl",
        (0, "[[A>B]]", "[[A>B]]", "leftvote"),
        (1, "[[B>A]]", "[[A>B]]", "leftvote"),
        (2, "?", None, "tievote"),
        (0, "[[B>A]]", "[[B>A]]", "leftvote"),
    )
    table = BENCHMARK.score(path)
    [figure] = table.figures
    assert (figure.name, figure.points, figure.n, figure.unread) == ("image_edition", 1, 3, 1)
    assert "1 rows repeat the idx" in table.notes[0]
    assert "1 stored verdicts" in table.notes[1]
    [without] = BENCHMARK.score(path, rule="without_ties").figures
    assert (without.points, without.n) == (1, 2)


def test_the_stored_columns_follow_from_the_texts(shared: Callable[[str], Path]) -> None:
    for task in ("image_generation", "image_edition", "video_generation"):
        path = shared(f"genai_bench/results/{task}/idefics2/pairwise.jsonl")
        table = BENCHMARK.score(path)
        stored = [json.loads(line)["correct"] for line in path.read_text().splitlines()]
        [figure] = table.figures
        assert (figure.points, figure.n) == (sum(stored), len(stored))
        assert not any("stored verdicts" in note for note in table.notes)


def test_video_votes_are_loaded_with_their_ties(shared: Callable[[str], Path]) -> None:
    preferences = list(load(shared("unified_reward/GenAI-Bench-Video/data.json"), require_images=False))
    assert Counter(p.ranks for p in preferences).keys() == {(0, 1), (1, 0), (0, 0)}
    assert all(p.images == () and images_of(p.responses[0]) != images_of(p.responses[1]) for p in preferences)
    assert all(p.swapped().all_images == p.all_images[::-1] for p in preferences)


@pytest.mark.parametrize("piece", ["[[", "]]", "[[\n", "[[A]]", "["])
def test_ten_megabytes_of_hostile_text_take_seconds(piece: str) -> None:
    started = time.process_time()
    parse(piece * (10_000_000 // len(piece)))
    assert time.process_time() - started < 30
