import base64
import hashlib
import json
import math
import re
import shutil
from pathlib import Path

import pytest

from stablereward.report.page import run_page
from stablereward.report.run import Run, read_run

from .reading import Reader

HOSTILE = (
    '</pre></style><script>alert(1)</script><img src=x onerror="alert(2)">\'"&amp;\u202e\ud800' + "w" * 250
)


def sections(read: Reader) -> list[str]:
    return [one["id"] for one in read.named("section")]


def test_the_page_has_every_section_in_order(run_folder: Path):
    read = Reader(run_page(read_run(run_folder)))
    assert sections(read) == [
        "results",
        "mistakes",
        "learning",
        "distributions",
        "judgements",
        "rollouts",
        "events",
        "reproduce",
    ]
    assert [
        one["href"][1:] for one in read.named("a") if one["href"][:5] not in ("#top", "data:")
    ] == sections(read)
    assert "toy-judge Trained judge: 94.1 % held-out accuracy, +18.3 points over its cold start." in read.text


def test_the_timeline_divides_the_seconds(run_folder: Path):
    read = Reader(run_page(read_run(run_folder)))
    bar = [one for one in read.named("i", "c0") + read.named("i", "c1") + read.named("i", "c2")]
    assert [one["style"] for one in bar] == ["flex-grow:0.1897", "flex-grow:0.7164", "flex-grow:0.0939"]
    assert "Cold start1 min 24 s, 240 updates" in read.text
    assert "Together7 min 24 s" in read.text


def test_a_stage_still_running_has_no_seconds(tmp_path: Path):
    (tmp_path / "metrics.jsonl").write_text('{"stage": "rl", "update": 1, "loss": 1.0}\n')
    (tmp_path / "timings.jsonl").write_text('{"stage": "rl", "update": 1, "seconds": 1.0}\n')
    read = Reader(run_page(read_run(tmp_path)))
    assert "Not measured yet: 1 update in reinforcement learning." in read.text
    assert "not finished, 1 update" in read.text


def test_what_cannot_be_read_is_not_said_to_be_absent(run_folder: Path, tmp_path: Path):
    copy = Path(shutil.copytree(run_folder, tmp_path / "run"))
    (copy / "results.json").write_text("[{")
    (copy / "timings.jsonl").unlink()
    said = Reader(run_page(read_run(copy))).text
    assert "The results cannot be read: 400 updates in cold start, reinforcement learning." in said
    assert "Cold starttime not known, 240 updates" in said


@pytest.mark.parametrize(
    ("piece", "section"),
    [
        ("results.json", "results"),
        ("metrics.jsonl", "learning"),
        ("examples.jsonl", "judgements"),
        ("rollouts", "rollouts"),
        ("distributions.jsonl", "distributions"),
        ("judgements", "mistakes"),
    ],
)
def test_a_missing_piece_makes_no_section(run_folder: Path, tmp_path: Path, piece: str, section: str):
    copy = Path(shutil.copytree(run_folder, tmp_path / "run"))
    shutil.rmtree(copy / piece) if (copy / piece).is_dir() else (copy / piece).unlink()
    found = sections(Reader(run_page(read_run(copy))))
    assert section not in found
    assert len(found) >= 4


def test_an_empty_run_is_a_page():
    read = Reader(run_page(Run(folder=Path("run"))))
    assert sections(read) == []
    assert "Not measured yet: nothing trained yet." in read.text


def hostile_run(folder: Path) -> Path:
    """A run in which every text that can come from outside is an attack."""
    (folder / "rollouts").mkdir(parents=True)
    (folder / "config.yaml").write_text(f"{HOSTILE}: {HOSTILE}\n", errors="replace")
    rows = [
        {"stage": HOSTILE, "update": 1, HOSTILE: 1.0, "loss": 1.0, "reward/mean": 1.0},
        {"event": HOSTILE, "stage": HOSTILE, "update": HOSTILE, HOSTILE: {HOSTILE: HOSTILE}},
        {"event": "stage", "stage": HOSTILE, "seconds": 3},
        {
            "event": "collapse",
            "stage": HOSTILE,
            "update": 1,
            "rule": HOSTILE,
            "value": HOSTILE,
            "bound": None,
        },
        {"event": "rollback", "update": math.inf, "from": HOSTILE, HOSTILE: 1e300},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = {"judge": HOSTILE, "accuracy": 0.5, "role": HOSTILE, "interval": [0, 1]}
    (folder / "results.json").write_text(json.dumps([result]))
    (folder / "categories.json").write_text(json.dumps({HOSTILE: {HOSTILE: 0.5}}))
    item = {"question": HOSTILE, "responses": [HOSTILE, HOSTILE], "images": [HOSTILE], "best": 0}
    opinion = {"judge": HOSTILE, "choice": 1, "text": f"<think>{HOSTILE}</think><answer>{HOSTILE}</answer>"}
    failed = {"judge": HOSTILE, "text": HOSTILE, "failure": HOSTILE}
    example = {**item, "category": HOSTILE, "judgements": [opinion, failed]}
    (folder / "examples.jsonl").write_text(json.dumps(example) + "\n{\n")
    written = {"text": HOSTILE, "reward": 1.0, "parts": {HOSTILE: 1.0, "result": 0.0}, "failure": HOSTILE}
    tokens = ["<think>", HOSTILE, "</think><answer>", HOSTILE, "</answer>", HOSTILE]
    clips = {"low": [0, 1, 1, 99, -1], "high": [1, 3], HOSTILE: [0], "dual": [5]}
    marked = {**written, "tokens": tokens, "clipped": clips, "failure": None}
    group = {**item, "update": 1, "completions": [written, marked]}
    (folder / "rollouts" / "0.jsonl").write_text(json.dumps(group) + "\n")
    spread = {"count": 1, "mean": 1e300, "quantiles": [-1e299, 0, 0, 0, 0, 0, 0, 1e-300, 1e299]}
    broken = {"count": HOSTILE, "mean": HOSTILE, "quantiles": HOSTILE}
    quantities = {HOSTILE: spread, f"reward/{HOSTILE}": broken, "advantages": broken}
    line = {"stage": HOSTILE, "update": 1, "quantities": quantities}
    (folder / "distributions.jsonl").write_text(json.dumps(line) + "\n")
    return folder


def test_no_text_becomes_markup(tmp_path: Path):
    page = run_page(read_run(hostile_run(tmp_path / "<b>run")))
    read = Reader(page)
    assert len(read.named("script")) == 1
    assert not read.named("img")
    assert not read.named("b", "run")
    assert read.text.count("alert(1)") > 25
    names = {key for _, attributes in read.elements for key in attributes}
    assert not {name for name in names if name.startswith("on")}


def test_the_page_asks_for_nothing_and_runs_only_its_own_script(run_folder: Path):
    page = run_page(read_run(run_folder))
    read = Reader(page)
    policy = next(one["content"] for one in read.named("meta") if "http-equiv" in one)
    script = page.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'")
    assert f"script-src 'sha256-{digest}'" in policy
    addresses = [value for _, one in read.elements for key, value in one.items() if key in ("src", "href")]
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|innerHTML", page)
