"""Published figures, computed again."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stablereward.evaluation.leaderboards import WILDVISION
from stablereward.evaluation.published import Outcome, reproduce, to_json, to_markdown


def test_every_published_figure_at_hand_agrees_to_the_printed_digit(shared: Callable[[str], Path]) -> None:
    outcome = reproduce(shared(""))
    assert [one for one in outcome.figures if not one.agree] == []
    assert Counter(one.benchmark for one in outcome.figures) == {
        "GenAI-Bench": 16,
        "LLMBar": 135,
        "JudgeBench": 5,
        "WildVision-Bench": 16,
        "MJ-Bench": 12,
        "MMRB2": 3,
        "RewardBench": 6,
        "RM-Bench": 2,
        "RMB": 5,
    }
    assert to_markdown(outcome).startswith("200 of 200 published figures agree.")
    assert len(json.loads(to_json(outcome))["figures"]) == 200
    left_out = {one.source: one.reason for one in outcome.left_out}
    assert left_out["MJ-Bench, alignment/spatial_test.json"].startswith("no threshold in its name")
    assert left_out["videoalign"] == "no published figures are known here"
    assert "Left out: videoalign: no published" in to_markdown(outcome)


def test_another_last_digit_does_not_agree(shared: Callable[[str], Path]) -> None:
    shared("judgebench/outputs")
    for one in reproduce(shared("")).figures:
        if one.benchmark == "JudgeBench":
            assert not replace(one, published=f"{float(one.published) + 0.01:.2f}").agree


def test_what_is_absent_is_passed_over(shared: Callable[[str], Path], tmp_path: Path) -> None:
    assert reproduce(tmp_path) == Outcome(figures=(), left_out=())
    task = "genai_bench/results/image_edition/llava"
    shutil.copytree(shared(task), tmp_path / task)
    outcome = reproduce(tmp_path)
    [one] = outcome.figures
    assert (one.figure, one.published, one.agree) == ("image_edition", "26.12", True)
    assert [missing.source.rpartition(", ")[2] for missing in outcome.left_out] == [
        "image_generation", "video_generation", "average",
    ]  # fmt: skip
    assert to_markdown(outcome).startswith("1 of 1")


def wildvision(path: Path, verdicts: dict[str, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {"question_id": f"{v}{i}", "games": [{"score": v}]} for v, n in verdicts.items() for i in range(n)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_every_row_of_the_leaderboard_is_compared_and_others_are_named(tmp_path: Path) -> None:
    """The counts of a printed row make files whose score, win rate and reward are the printed ones."""
    grades = ("B>>A", "B>A", "A=B", "A>B", "A>>B")
    unread = {"aria": 6, "llava-1.5-7b-hf": 20}
    for model, row in WILDVISION.items():
        counts = dict(zip(grades, map(int, row[3:]), strict=True))
        counts["A=B"] -= unread.get(model, 0)
        wildvision(
            tmp_path / f"wildvision_bench/judgements/{model}.jsonl", counts | {"?": unread.get(model, 0)}
        )
    wildvision(tmp_path / "wildvision_bench/judgements/new-model.jsonl", {"B>A": 1})
    outcome = reproduce(tmp_path)
    assert len(WILDVISION) == 22 and len(outcome.figures) == 22 * 8 - 1
    compared = {one.source for one in outcome.figures}
    assert compared == set(WILDVISION)
    assert [one.source for one in outcome.left_out] == [
        "WildVision-Bench, claude-3-sonnet-20240229, score",
        "WildVision-Bench, new-model",
    ]
    assert [one for one in outcome.figures if not one.agree] == []


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("genai_bench/results/image_edition/new/pairwise.jsonl", "no published row of it is known here"),
        ("judgebench/outputs/judge_model=new.jsonl", "no published row of it is known here"),
        ("llmbar/Natural/evaluators/m/s/result.json", "no statistics.json beside the results"),
        ("mj_bench/new.json", "no threshold in its name, so no stored verdicts can be computed again"),
        ("mmrb2/sample_task1_image.json", "its labels, t2i_response_only.json, are not beside it"),
        ("mmrb2/sample_task9.json", "no published row of it is known here"),
        ("pandalm/new-testset-v1.json", "no published row of it is known here"),
        ("rm_r1_scores/new/RM-Bench/other.json", "final_result.json is not there"),
        ("somewhere/else.json", "no published figures are known here"),
    ],
)
def test_what_is_there_and_not_compared_is_named(file: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text("not even JSON")
    outcome = reproduce(tmp_path)
    assert outcome.figures == () and reason in {one.reason for one in outcome.left_out}
