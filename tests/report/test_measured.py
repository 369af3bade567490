"""Figures of a run that is no judge, and pictures among its rollouts."""

import json
from pathlib import Path

from PIL import Image

from stablereward.report.page import run_page
from stablereward.report.run import read_run
from stablereward.runs.figures import Figure, write
from stablereward.runs.folder import RunFolder
from tests.report.reading import Reader


def drawn(folder: Path) -> Path:
    """A run of two learners whose trajectories are pictures."""
    run = RunFolder(folder)
    run.open("seed: 0\n", resume=False)
    for update, learner in enumerate(("critic", "actor"), 1):
        run.log("play", update, {"loss": 0.5}, seconds=0.1, learner=learner)
    made = {"text": "two discs", "images": [Image.new("L", (16, 16), 200)], "reward": 0.75, "advantage": 0.5}
    run.write_rollouts(
        "play", 1, [{"update": 1, "question": "two discs", "images": [], "completions": [made]}]
    )
    write(
        folder,
        [
            Figure(name="success", value=0.875, low=0.8, high=0.93, n=200, about="share of episodes"),
            Figure(name="steps", value=12.5, about="mean of an episode"),
        ],
    )
    return folder


def test_figures_are_a_sentence_and_a_table(tmp_path: Path) -> None:
    run = read_run(drawn(tmp_path))
    assert not [notice for notice in run.notices if "learner" in notice]
    page = Reader(run_page(run))
    assert "Success: 0.875. Share of episodes; 95 % interval 0.8–0.93; n = 200." in page.text.replace(
        ".Share", ". Share"
    )
    assert "0.8–0.93" in page.text and "200" in page.text and "mean of an episode" in page.text


def test_what_was_made_is_shown_as_a_picture(tmp_path: Path) -> None:
    html = run_page(read_run(drawn(tmp_path)))
    assert html.count("data:image/png") == 1
    assert len(list((tmp_path / "media").glob("*.png"))) == 1


def test_figures_that_cannot_be_read_are_left_out_with_a_word(tmp_path: Path) -> None:
    (drawn(tmp_path) / "figures.json").write_text(json.dumps({"success": {"value": "high"}}))
    run = read_run(tmp_path)
    assert run.figures == {} and any(notice.startswith("figures.json") for notice in run.notices)


def test_what_was_before_training_stands_beside_what_is_now(tmp_path: Path) -> None:
    write(
        drawn(tmp_path),
        [
            Figure(name="reward", value=3.5, about="mean"),
            Figure(name="start_reward", value=2.25, about="mean, before training"),
            Figure(name="rule", value=0.5, about="share"),
            Figure(name="rule_start", value=0.75, about="the same before training"),
        ],
    )
    page = Reader(run_page(read_run(tmp_path)))
    assert "Reward: 3.5, 2.25 before training." in page.text
    assert [one.get("data-label") for one in page.named("td") if "data-label" in one] == [
        "value", "before training", "value", "before training"
    ]  # fmt: skip
    assert "start_reward" not in page.text and "% interval" not in page.text


def test_a_policy_without_advantages_is_not_missed_its_distributions(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.open("seed: 0\n", resume=False)
    run.log("rl", 1, {"reward/mean": 0.5}, seconds=0.1)
    run.write_rollouts("rl", 1, [{"update": 1, "completions": []}])
    assert not [notice for notice in read_run(tmp_path).notices if "distributions" in notice]
    run.log("rl", 2, {"reward/mean": 0.5, "advantages/std": 1.0}, seconds=0.1)
    assert [notice for notice in read_run(tmp_path).notices if "distributions" in notice]
