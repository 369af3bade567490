from pathlib import Path

from stablereward.report.compare import comparison_page
from stablereward.report.run import Result, Run, read_run

from .reading import Reader
from .sample import write_run


def test_two_runs_side_by_side(run_folder: Path, tmp_path: Path):
    # A folder's name must not decide the role of the judges in it.
    other = write_run(tmp_path / "random-rl", seed=1, num_examples=1, rl_updates=40)
    read = Reader(comparison_page([read_run(run_folder), read_run(other)]))
    assert "2 runs compared" in read.text
    assert "toy-judge: cold start" in read.text
    # Two votes of the trained judge and three controls, once side by side and once for each run.
    assert len(read.named("tr", "trained")) == 2 + 4
    assert len(read.named("tr", "control")) == 3 + 6
    reward = next(one for one in read.named("svg", "chart") if one["aria-label"].startswith("Reward:"))
    assert "toy-judge " in reward["aria-label"] and "random-rl " in reward["aria-label"]
    assert "Settingtoy-judgerandom-rlseed01" in read.text


def test_only_settings_that_differ_are_listed():
    runs = [
        Run(folder=Path(name), config=f"same: 1\nrl:\n  epsilon: {epsilon}\n{extra}")
        for name, epsilon, extra in (("a", 0.2, ""), ("b", 0.3, "new: [1, 2]\n"))
    ]
    text = Reader(comparison_page(runs)).text
    assert "Settingabrl.epsilon0.20.3new–[1, 2]" in text
    assert "same" not in text


def test_a_config_that_cannot_be_read_is_passed_over():
    hostile = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
    for config in (hostile, "a: [", "!!python/object:os.system {}", "[" * 1_000):
        page = comparison_page([Run(folder=Path("a"), config=config), Run(folder=Path("b"), config="x: 1")])
        assert "x1" in Reader(page).text.replace("–", "")


def test_a_judge_is_a_row_and_a_run_a_column_with_its_interval():
    a = Run(folder=Path("a"), results=[Result(judge="x", accuracy=0.5, interval=(0.4, 0.6))])
    b = Run(
        folder=Path("b"),
        results=[Result(judge="x", accuracy=0.75, interval=(0.7, 0.8)), Result(judge="y", accuracy=1)],
    )
    page = comparison_page([a, b])
    table = Reader(page[page.index("<table") : page.index("</table>") + len("</table>")])
    assert table.text == "Judgeabx 50.0 % 40.0–60.0 %75.0 % 70.0–80.0 %y –100.0 %"


def test_metrics_that_need_a_colour_each_have_a_chart_each():
    names = ("policy/ratio_clip_low", "policy/ratio_clip_high", "policy/preclip")
    rows = [{"stage": "rl", "update": i, names[0]: 0.1, names[1]: 0.2, names[2]: 0.0} for i in (1, 2)]
    runs = [Run(folder=Path(name), updates=rows, stages=["rl"]) for name in ("a", "b")]
    titles = [
        one["aria-label"].partition(": a")[0] for one in Reader(comparison_page(runs)).named("svg", "chart")
    ]
    assert titles == ["Clipped tokens: low", "Clipped tokens: high"]


def test_equal_settings_are_said_to_be_equal():
    runs = [Run(folder=Path(name), config="seed: 1") for name in ("a", "b")]
    assert "All settings are the same" in Reader(comparison_page(runs)).text


def test_distributions_are_side_by_side_on_one_axis(run_folder: Path, tmp_path: Path):
    other = write_run(tmp_path / "other", seed=1, num_examples=1, rl_updates=40)
    read = Reader(comparison_page([read_run(run_folder), read_run(other)]))
    lengths = [one for one in read.named("svg", "chart") if one["aria-label"].startswith("Length, ")]
    assert [one["aria-label"].partition(":")[0] for one in lengths] == ["Length, toy-judge", "Length, other"]
    assert len({one["data-frame"] for one in lengths}) == 1


def test_folders_of_one_name_are_told_apart():
    folders = ("/a/run", "/b/run", "/b/run", "/c/other")
    text = Reader(comparison_page([Run(folder=Path(one), config=f"x: {one}") for one in folders])).text
    assert "Settinga/runb/run (2)b/run (3)other" in text
