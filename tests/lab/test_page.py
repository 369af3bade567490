"""The tables, the pictures and the page of a study whose figures are known."""

import json
import random
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from report.reading import Reader

from stablereward.lab.filter_share import BATCH
from stablereward.lab.jobs import Job, ablation, noise_sweep
from stablereward.lab.outcome import Outcome
from stablereward.lab.page import filter_page, lab_page
from stablereward.lab.pictures import band, filter_chart, noise_charts, standalone
from stablereward.lab.regimes import CALM, STRESS
from stablereward.lab.study import Study
from stablereward.lab.tables import contrast_table, noise_table, regime_table, to_json, to_markdown

from .made import outcome

ARMS = ("stable_reinforce", "reinforce_plus_plus")


def found(lab: Path) -> dict[Job, Outcome]:
    """An ablation of two arms whose baseline breaks under stress, and the sweep."""
    rng = random.Random(0)
    outcomes = {}
    for job in dict.fromkeys(ablation(ARMS, [CALM, STRESS], 3) + noise_sweep(CALM, 3)):
        broken = job.regime == STRESS and job.arm == ARMS[1]
        accuracy = (0.4 if broken else 0.9) - 0.1 * job.flip + job.seed / 100
        outcomes[job] = outcome(
            job.regime.name, job.arm, job.seed, accuracy, flip=job.flip,
            consistency_weight=job.consistency_weight, worst_log_ratio=15.0 if broken else 0.5,
            worst_advantage=5.5,
        )  # fmt: skip
        folder = lab / job.name
        folder.mkdir(parents=True)
        rows = [{"stage": "rl", "update": u, "reward/result": rng.random()} for u in range(1, 4)]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return outcomes


@pytest.fixture
def runs(tmp_path: Path) -> dict[Job, Outcome]:
    return found(tmp_path)


def test_the_tables_say_what_was_measured(runs):
    made = Study(runs.values())
    calm, stress = (regime_table(made, regime) for regime in ("calm", "stress"))
    assert "against its calm result" not in calm.head
    assert (
        calm.caption.replace("\N{NO-BREAK SPACE}", " ") == "calm: 100 held-out pairs, the start is at 70.0 %"
    )
    row = dict(zip(stress.head, stress.rows[1], strict=True))
    assert row["arm"] == ARMS[1] and row["collapsed"] == "3 of 3"
    assert row["accuracy"].replace("\N{NO-BREAK SPACE}", " ") == "41.0 % [38.5, 43.5]"
    assert row["against its calm result"] == "\N{MINUS SIGN}50.0"
    assert (row["worst ratio"], row["worst advantage"]) == ("e^15.0", "5.5")
    contrasts = contrast_table(made)
    assert contrasts is not None and list(contrasts.head) == ["arm", "calm", "stress"]
    assert contrasts.rows[0][2] == "+50.0"
    noise = noise_table(made)
    assert noise is not None
    shown = [(row[0], row[1].partition("\N{NO-BREAK SPACE}")[0]) for row in noise.rows]
    assert shown[:3] == [("0", "any"), ("0.5", "0"), ("0.5", "10")]


def test_markdown_and_json_agree(runs):
    made = Study(runs.values())
    text = to_markdown(made, [CALM, STRESS])
    for caption in ("calm: ", "stress: ", "StableReinforce minus", "The paper's claims", "The arms"):
        assert f"\n## {caption}" in text
    figures = json.loads(to_json(made, runs, [CALM, STRESS]))
    assert len(figures["runs"]) == len(runs) == 12 + 24
    [verdict] = [one for one in figures["claims"] if one["claim"].startswith("Under stress")]
    assert verdict["verdict"] == "holds" and verdict["evidence"] in text


def test_the_page_has_tables_curves_and_pictures(runs, tmp_path: Path):
    read = Reader(lab_page(Study(runs.values()), tmp_path, runs, [CALM, STRESS]))
    assert [one["id"] for one in read.named("section")] == [
        "results", "claims", "learning", "noise", "filter", "method",
    ]  # fmt: skip
    assert "36 runs from one cold start, 3 collapsed." in read.text
    charts = [one["aria-label"] for one in read.named("svg", "chart")]
    assert sum(label.startswith("Share right, ") for label in charts) == 4
    assert len(charts) == 4 + 2 + 1
    assert not [one for one in read.named("script") if "src" in one]


def test_a_band_is_over_the_seeds_that_got_so_far():
    found = band([{1: 0.5, 2: 0.75}, {1: 1.0}])
    assert (list(found.updates), list(found.mean)) == ([1, 2], [0.75, 0.75])
    assert (list(found.low), list(found.high)) == ([0.5, 0.75], [1.0, 0.75])


def test_without_a_sweep_there_is_no_picture_of_one():
    assert noise_charts(Study([outcome("calm", ARMS[0], 0, 0.9)])) is None


def test_the_filter_is_a_file_of_its_own():
    root = ET.fromstring(standalone(filter_chart()))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    dots = [one for one in root.iter("{http://www.w3.org/2000/svg}circle") if one.get("r") == "1.6"]
    assert len(dots) == 2 * (BATCH // 2 + 1)
    text = "".join(root.itertext()).replace("\N{NO-BREAK SPACE}", " ")
    assert "paper: from 90.0 %" in text and "released code: from 68.5 %" in text
    assert Reader(filter_page()).named("svg", "chart")
