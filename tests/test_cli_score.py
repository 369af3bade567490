"""`stablereward score` as a user meets it."""

import json
import shutil
from pathlib import Path

import pytest
import test_cli
from test_cli import Command, one_line

from stablereward.evaluation.bench import judge_all
from stablereward.judges.controls import always_first
from stablereward.types import Preference

command = test_cli.command

SHARED = Path(__file__).parents[2] / "shared/data"
FIGURES = "71.92 63.84 85.71 64.78"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    ids = ("RLAIF-V-1", "mathverse_7", "wildvision-battle-3")
    judge_all(
        always_first,
        [Preference(id=i, question=i, responses=("good", "bad"), ranks=(0, 1)) for i in ids],
        path,
    )
    return path


def test_a_table_names_its_rule_and_map(command: Command, rows: Path) -> None:
    named = ("--benchmark", "VL-RewardBench", "--rule", "r1_reward", "--map", "unified_reward")
    code, out, errors = command("score", rows, *named)
    assert (code, errors) == (0, "")
    assert "Rule `r1_reward`" in out and "Categories `unified_reward`" in out and "100.00 %" in out
    code, out, _ = command("score", rows, *named, "--json")
    assert code == 0 and json.loads(out)["category_map"] == "unified_reward"


def test_the_published_row_is_impossible_under_the_official_map_and_unique_under_its_own(
    command: Command,
) -> None:
    code, out, _ = command("score", "--audit", FIGURES, "--benchmark", "vl_rewardbench")
    assert code == 0
    official, own, unified = [line for line in out.splitlines() if line.startswith("- ")]
    assert "`official`" in official and "**impossible**" in official
    assert "general 309/484, hallucination 384/448, reasoning 206/318" in own and "**unique**" in own
    assert "**impossible**" in unified
    code, out, _ = command("score", "--audit", FIGURES, "--benchmark", "vl_rewardbench", "--json")
    assert [finding["ways"] for finding in json.loads(out)] == [0, 1, 0]


@pytest.mark.skipif(not SHARED.exists(), reason="the published files are not beside this checkout")
def test_published_figures_are_computed_again_and_a_difference_is_an_error(
    command: Command, tmp_path: Path
) -> None:
    code, out, errors = command("score", "--reproduce", SHARED)
    assert (code, errors) == (0, "") and out.startswith("200 of 200 published figures agree.")
    assert "Left out: vlrmbench: no published figures are known here" in out
    source = "genai_bench/results/image_edition/llava"
    shutil.copytree(SHARED / source, tmp_path / source)
    file = tmp_path / source / "pairwise.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:-9]))
    code, out, errors = command("score", "--reproduce", tmp_path)
    assert code == 1 and out.startswith("0 of 1") and " NO |" in out
    assert one_line(errors) == "1 of 1 published figures do not agree with their files"


@pytest.mark.skipif(not SHARED.exists(), reason="the published files are not beside this checkout")
def test_a_published_file_in_its_own_form_is_scored(command: Command) -> None:
    file = SHARED / "mmrb2/sample_task1_image.json"
    data = SHARED / "mmrb2/t2i_response_only.json"
    code, out, _ = command("score", file, "--benchmark", "MMRB2", "--data", data)
    assert code == 0 and "53.20 %" in out


def test_a_folder_of_judgements_is_scored_file_by_file(command: Command, tmp_path: Path) -> None:
    judged = {"pair_id": "a", "source": "livecodebench", "label": "A>B", "judgments": [{"decision": "A>B"}]}
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(judged) + "\n")
    (tmp_path / "c.jsonl").write_text("{}\n")
    code, out, errors = command("score", tmp_path, "--benchmark", "judgebench")
    assert (code, errors) == (0, "")
    assert [out.count(f"**JudgeBench**, {tmp_path / name}.jsonl") for name in "ab"] == [1, 1]
    assert f"Left out: {tmp_path / 'c.jsonl'}: holds no JSON objects" in out
    whole = json.loads(command("score", tmp_path, "--benchmark", "judgebench", "--json")[1])
    assert [table["figures"][0]["value"] for table in whole["tables"]] == [100.0, 100.0]
    assert len(whole["left_out"]) == 1
    (tmp_path / "d").mkdir()
    code, out, errors = command("score", tmp_path / "d", "--benchmark", "judgebench")
    assert (code, out) == (3, "") and "none of its 0 files can be scored" in one_line(errors)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "give one of a FILE, --audit FIGURES and --reproduce FOLDER"),
        (["x.jsonl", "--audit", FIGURES], 2, "give one of a FILE"),
        (["x.jsonl"], 2, "which benchmark?"),
        (["x.jsonl", "--benchmark", "VL-RewardBnch"], 2, "did you mean vl_rewardbench?"),
        (["x.jsonl", "--benchmark", "vl_rewardbench", "--rule", "oficial"], 2, "did you mean official?"),
        (["x.jsonl", "--benchmark", "vl_rewardbench"], 3, "x.jsonl: cannot be read"),
        (["--audit", "many", "--benchmark", "vl_rewardbench"], 2, "has 4 figures, overall"),
        (["--audit", FIGURES, "--benchmark", "vl_rewardbench", "--rule", "official"], 2, "--rule has no"),
        (["--reproduce", "absent"], 3, "no files of published figures"),
        (["--reproduce", ".", "--benchmark", "vl_rewardbench"], 2, "--benchmark has no meaning here"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    code: int,
    said: str,
    command: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    ended, out, errors = command("score", *arguments)
    assert (ended, out) == (code, "") and said in one_line(errors)
