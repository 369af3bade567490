"""MM-RLHF-RewardBench: Acc, Acc+ and frames."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from stablereward.evaluation.benchmarks.mm_rlhf_rewardbench import BENCHMARK, acc_plus, load, path_category
from stablereward.evaluation.evaluate import evaluate
from stablereward.evaluation.records import TIE, pair
from stablereward.evaluation.rows import append
from stablereward.judges.controls import always_first, longer_wins

FILE = "r1_reward/MM-RLHF-RewardBench/mm_reward_bench.jsonl"


def test_longer_wins_is_no_worse_than_some_reward_models(
    shared: Callable[[str], Path], tmp_path: Path
) -> None:
    """Lengths as rewards: the official rule counts the two pairs of equal lengths as wrong."""
    path = tmp_path / "rewards.jsonl"
    lines = [json.loads(line) for line in shared(FILE).read_text().splitlines()]
    rows = [{**line, "rewards": [len(line["chosen"]), len(line["rejected"])]} for line in lines]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = BENCHMARK.score(path)
    assert table.notes == ()
    figures = {figure.name: figure for figure in table.figures}
    assert (figures["overall"].points, figures["overall"].n, figures["overall"].ties) == (122, 170, 2)
    assert (figures["acc+"].points, figures["acc+"].n) == (22, 46)
    assert f"{table.value('overall'):.1f} {table.value('acc+'):.1f}" == "71.8 47.8"


def test_longer_wins_in_both_orders(shared: Callable[[str], Path], tmp_path: Path) -> None:
    """The control picks the answer shown first where lengths are equal, so only both orders show the ties."""
    path = tmp_path / "rows.jsonl"
    append(evaluate(longer_wins, list(load(shared(FILE), require_images=False))), path)
    table = BENCHMARK.score(path, rule="stablereward")
    assert f"{table.value('right in both orders'):.1f} {table.value('acc+'):.1f}" == "71.8 47.8"
    assert table.value("overall") == 100 * 246 / 340


def test_always_first_on_both_orders(shared: Callable[[str], Path], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append(evaluate(always_first, list(load(shared(FILE), require_images=False))), path)
    table = BENCHMARK.score(path, rule="stablereward")
    assert (table.value("overall"), table.value("acc+")) == (50.0, 0.0)
    assert table.value("right answer shown first") == 100.0


def test_acc_plus_by_hand() -> None:
    rows = [
        pair([0], id="q1", best=0),
        pair([0], id="q1", best=0),
        pair([0], id="q2", best=0),
        pair([1], id="q2", best=0),
        pair([TIE], id="q3", best=0),
        pair([1], id="q4", best=0),
        pair([0], id="q4", best=0),
    ]
    figure = acc_plus("acc+", rows)
    assert (figure.points, figure.n) == (1, 4)


@pytest.mark.parametrize(
    ("path", "category"),
    [("mcq/1.png", "mcq"), ("video/abc", "video"), ("x/short/1.png", "short"), ("other.png", "")],
)
def test_the_path_names_the_category(path: str, category: str) -> None:
    assert path_category(path) == category


def test_the_authors_form(tmp_path: Path) -> None:
    path = tmp_path / "rewards.jsonl"
    rows = [
        {"id": "1", "image": "mcq/1.png", "rewards": [2, 1]},
        {"id": "1", "image": "mcq/1.png", "rewards": [1, 1]},
        {"id": "2", "video": "video/2", "rewards": [1, 0]},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    table = BENCHMARK.score(path)
    assert (table.value("mcq"), table.value("video")) == (50.0, 100.0)
    assert (table.value("acc+"), table.value("mcq acc+"), table.value("video acc+")) == (50.0, 0.0, 100.0)


def test_frames_come_in_natural_order_and_folders_above_name_no_category(tmp_path: Path) -> None:
    root = tmp_path / "long"
    for name in ("f10.png", "f9.png"):
        frame = root / "video/clip" / name
        frame.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2)).save(frame)
    path = root / "rows.jsonl"
    path.write_text('{"id": "1", "video": "video/clip", "prompt": "q", "chosen": "a", "rejected": "b"}\n')
    [preference] = load(path)
    assert [image.name for image in preference.images if isinstance(image, Path)] == ["f9.png", "f10.png"]
    assert preference.category == "video"
