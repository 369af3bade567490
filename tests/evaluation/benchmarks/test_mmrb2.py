"""MMRB2: tasks, missing verdicts, interleaved responses."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from stablereward.errors import DataError
from stablereward.evaluation.benchmarks.mmrb2 import BENCHMARK, TASKS, load, read, task_category
from stablereward.types import pictured

DUMMY = [
    ("1_image", "t2i", 53.2),
    ("2_edit", "edit", 55.5),
    ("3_interleaved", "interleaved", 57.5),
]


@pytest.mark.parametrize(("part", "task", "accuracy"), DUMMY)
def test_the_dummy_judge(part: str, task: str, accuracy: float, shared: Callable[[str], Path]) -> None:
    data = shared(f"mmrb2/{task}_response_only.json")
    judged = shared(f"mmrb2/sample_task{part}.json")
    table = BENCHMARK.score(judged, data=data)
    assert table.value(task) == pytest.approx(accuracy)
    by_source = BENCHMARK.score(judged, data=data, map="source")
    sizes = BENCHMARK.maps["source"].sizes
    found = {f.name: (f.n or 0) // 2 for f in by_source.figures if f.name in sizes}
    assert found == {name: sizes[name] for name in sizes if task_category("", name) == task}
    assert {task_category("", name) for name in sizes} == set(TASKS)


def pairs(path: Path, **more: object) -> Path:
    row = {
        "prompt_source": "blink",
        "response_a": {"model": "m", "response_content": [["text", "first"], ["image", "a.png"]]},
        "response_b": {"model": "n", "response_content": [["image", "b.png"]]},
        **more,
    }
    rows = [{**row, "pair_id": str(i), "chosen": "AB"[i % 2]} for i in range(4)]
    path.write_text(json.dumps({"pairs": rows}))
    return path


def test_absent_verdicts_are_left_out_and_others_are_wrong(tmp_path: Path) -> None:
    data, path = pairs(tmp_path / "reasoning.json"), tmp_path / "judged.json"
    one = {name: [{"judgement": name}] for name in ("A", "B", "tie")}
    judged = {
        "0": {"forward": one["A"], "reverse": one["B"]},
        "1": {"forward": one["A"], "reverse": []},
        "2": {"forward": [{"judgement": None}], "reverse": one["tie"]},
    }
    path.write_text(json.dumps(judged))
    rows, notes = read(path, data)
    assert [[vote.choice for vote in row.votes] for row in rows] == [[0, 0], [0, None], [None, None]]
    assert notes == ("1 of 4 pairs have no judgement and are left out",)
    table = BENCHMARK.score(path, data=data)
    [overall] = [figure for figure in table.figures if figure.name == "overall"]
    assert (overall.points, overall.n, overall.unread, overall.ties) == (2, 4, 2, 1)


def test_labels_are_needed(tmp_path: Path) -> None:
    path = tmp_path / "judged.json"
    path.write_text('{"0": {"forward": [], "reverse": []}}')
    with pytest.raises(DataError, match="carry no labels; name the task's own file"):
        BENCHMARK.score(path)


def test_responses_hold_their_images(tmp_path: Path) -> None:
    prompt = [["image", "q.png"], ["text", "Which?"]]
    first, second, *_ = load(pairs(tmp_path / "reasoning.json", prompt_content=prompt), require_images=False)
    assert first.question == "[Image 1]\nWhich?"
    assert first.responses == (pictured("first", "\n", tmp_path / "a.png"), pictured(tmp_path / "b.png"))
    assert first.images == (tmp_path / "q.png",)
    assert (first.best, second.best) == (0, 1)


def test_response_only_files_cannot_be_judged(shared: Callable[[str], Path]) -> None:
    with pytest.raises(DataError, match="pair 1: has no prompt"):
        next(iter(load(shared("mmrb2/edit_response_only.json"), require_images=False)))
