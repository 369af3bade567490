"""`stablereward compare` as a user meets it, on what `bench` wrote."""

import json
from pathlib import Path

import pytest
import test_cli
from loopback import Reply, Request, says
from report.reading import Reader
from test_cli import Command, Serve, one_line

from stablereward.evaluation.bench import judge_all, keep_settings
from stablereward.evaluation.benchmarks import find
from stablereward.judges.controls import always_first, longer_wins

command = test_cli.command
serve = test_cli.serve

DATA = Path(__file__).parents[2] / "shared/data/r1_reward/VL-RewardBench/data.jsonl"


def second(request: Request) -> Reply:
    """A judge that always names the response shown second."""
    return says("<think>The last word stays.</think><answer>2</answer>")


def test_two_judges_of_the_toy_world(command: Command, serve: Serve, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    ask = ("bench", "--benchmark", "toy", "--subset")
    server = ("--server", serve(second).base_url, "--server-model", "m/echo")
    assert command(*ask, 24, *server, "--output", a)[0] == 0
    assert command(*ask, 12, "--model", "toy", "--max-completion-length", 128, "--output", b)[0] == 0
    tables = ("--json", tmp_path / "c.json", "--markdown", tmp_path / "c.md")
    code, out, errors = command("compare", a, b, *tables)
    assert (code, errors) == (0, "")
    assert "12 pairs judged by all, matched by content; echo has 12 more" in out
    assert (tmp_path / "c.md").read_text() in out
    assert f"page: {tmp_path / 'comparison.html'}" in out and "missing" not in out
    figures = json.loads((tmp_path / "c.json").read_text())
    assert figures["summaries"]["echo"]["accuracy_mean"] == 0.5
    [contrast] = figures["contrasts"]
    gain = figures["summaries"]["toy"]["accuracy_mean"] - 0.5
    assert (contrast["a"], contrast["b"]) == ("echo", "toy")
    assert contrast["overall"]["measured"]["difference"] == pytest.approx(-gain)
    assert contrast["overall"]["only_a"] == contrast["overall"]["both_right"] == 0
    read = Reader((tmp_path / "comparison.html").read_text())
    assert "The last word stays." in read.text
    assert len(read.named("img")) == len(read.named("article")) > 0


def judged(folder: Path, name: str, judge: object, images_root: Path | None = None) -> Path:
    """Results on the real pairs, whose images are not at hand."""
    pairs = list(find("VL-RewardBench").load(DATA, images_root=images_root, require_images=False))[:40]
    path = folder / name / "rows.jsonl"
    keep_settings(path, {"benchmark": "VL-RewardBench", "model": "same", "orders": "both", "seed": 0})
    judge_all(judge, pairs, path)
    return path.parent


@pytest.mark.skipif(not DATA.exists(), reason="the real benchmarks are not beside this checkout")
def test_a_real_benchmark_with_and_without_its_data(command: Command, tmp_path: Path) -> None:
    first, longer = judged(tmp_path, "first", always_first), judged(tmp_path, "longer", longer_wins, tmp_path)
    page = tmp_path / "out/page.html"
    code, out, _ = command("compare", first, longer / "rows.jsonl", "--output", page)
    assert code == 0 and "first − rows" in out
    assert "results do not hold them; give --data FILE" in out
    assert "Describe this image in detail" not in page.read_text()
    code, out, _ = command("compare", first, longer, "--data", DATA, "--output", tmp_path / "out")
    assert code == 0 and "first − longer" in out and "missing" not in out
    read = Reader((tmp_path / "out/comparison.html").read_text())
    assert "Describe this image in detail" in read.text and "no image: " in read.text


@pytest.mark.skipif(not DATA.exists(), reason="the real benchmarks are not beside this checkout")
def test_rewards_from_elsewhere_beside_rows(command: Command, tmp_path: Path) -> None:
    pairs = list(find("VL-RewardBench").load(DATA, require_images=False))
    rewards = tmp_path / "rewards.jsonl"
    rewards.write_text("".join(json.dumps({"id": p.id, "rewards": [1.0, 0.0]}) + "\n" for p in pairs))
    longer = judged(tmp_path, "longer", longer_wins)
    code, out, _ = command("compare", longer, rewards, "--benchmark", "vl_rewardbench", "--data", DATA)
    assert code == 0 and "40 pairs judged by all, matched by content; rewards has 1210 more" in out
    assert "orders differ: longer both, rewards one" in out
    code, out, errors = command("compare", longer, rewards)
    assert (code, out) == (2, "") and "give --benchmark NAME and --data" in one_line(errors)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["absent", "other"], 3, "absent: cannot be read"),
        (["toy"], 2, "two or more different results"),
        (["toy", "toy"], 2, "the same results are named twice"),
        (["toy", "other"], 2, "different benchmarks"),
        (["toy", "apart"], 3, "share no pair"),
        (["toy", "longer", "--output", "toy/rows.jsonl/page.html"], 7, "cannot be written"),
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
    from stablereward.data.toy.pairs import pairs

    monkeypatch.chdir(tmp_path)
    toy = [pair.preference() for pair in pairs(4, seed=0, held_out=True)]
    for name, title, judge, some in (
        ("toy", "toy world, held-out pairs", always_first, toy[:3]),
        ("longer", "toy world, held-out pairs", longer_wins, toy[:3]),
        ("apart", "toy world, held-out pairs", always_first, toy[3:]),
        ("other", "JudgeBench", always_first, toy),
    ):
        keep_settings(Path(name) / "rows.jsonl", {"benchmark": title})
        judge_all(judge, some, Path(name) / "rows.jsonl")
    ended, _, errors = command("compare", *arguments)
    assert ended == code and said in one_line(errors)
