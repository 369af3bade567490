"""The sides in processes of their own do the same work. TRL joins where its environment is."""

import json
import re
from pathlib import Path

import pytest

from performance import compare, growth
from performance.device import Device
from performance.environment import trl_python
from performance.picture import bars, curves
from performance.race import Side, SideEnded, gradient_gaps, phases, ratios, spread
from performance.table import markdown
from performance.work import Job, Shape, create

SHAPE = Shape(prompt=30, completion=3, prompts=2, group=2, image=4)


@pytest.mark.slow
def test_the_gradient_of_trl_is_ours(tmp_path: Path) -> None:
    if trl_python() is None:
        pytest.skip("TRL's environment is not there; python -m performance.environment makes it")
    create(tmp_path, "tiny", Device("cpu"))
    [gap] = gradient_gaps([Job(side=s, shape=SHAPE, model=str(tmp_path)) for s in ("ours", "trl")]).values()
    assert gap < 1e-5


@pytest.mark.slow
def test_compare_runs_and_leaves_results(tmp_path: Path) -> None:
    given = ["--fast", "--shape", "30+29", "--sides", "ours", "plain", "--micro-batch", "4", "--threads", "1"]
    compare.main([*given, "--alone", "--checkpointing", "--steps", "1", "--output", str(tmp_path)])
    result = json.loads((tmp_path / "compare-cpu-tiny-fast.json").read_text())
    found = result["shapes"]["30+29"]
    assert found["steps"]["ours"]["tokens"] == found["steps"]["plain"]["tokens"]
    assert found["memory"]["ours"]["bytes_growth"]["median"] > 0
    assert found["gradient_gap"]["plain"] < 1e-5
    assert found["rates"]["ours"]["mfu"]["update"] > 0
    assert (tmp_path / "compare-cpu-tiny-fast.svg").read_text().startswith("<svg")


@pytest.mark.slow
def test_what_a_gpu_would_run_is_rehearsed_as_a_whole(tmp_path: Path) -> None:
    given = [
        "--device",
        "rehearsal",
        "--size",
        "3B",
        "--checkpointing",
        "--micro-batch",
        "4",
        "--threads",
        "1",
    ]
    compare.main([*given, "--steps", "1", "--per-turn", "1", "--output", str(tmp_path)])
    result = json.loads((tmp_path / "compare-rehearsal-3B-fast.json").read_text())
    assert (result["fast"], result["device"]) == (True, "rehearsal")
    found = result["shapes"]["1400+350"]
    sides = {"ours", "plain"} | ({"trl"} if trl_python() else set())
    assert set(found["steps"]) == set(found["memory"]) == set(found["rates"]) == sides
    # Sides that computed in float32 would agree to a millionth.
    assert all(1e-4 < gap < 3e-2 for gap in found["gradient_gap"].values())
    assert found["sft"]["ours"]["step"]["median"] > 0
    assert found["rates"]["plain"]["mfu"]["rollout"] > 0
    assert "to rehearse" in markdown(result)


@pytest.mark.slow
def test_growth_runs_along_an_axis_in_turn(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rest = ["--fast", "--threads", "1", "--steps", "2", "--output", str(tmp_path)]
    grown = growth.main(["--axis", "group", "--values", "1", "3", "--sides", "ours", *rest])
    assert [point["samples"] for point in grown["axes"]["group"]] == [2, 6]
    tokens = [int(n) for n in re.findall(r"'tokens': (\d+)", capfd.readouterr().err)]
    # One step each to see who is slow, then turns of two.
    assert tokens == [12, 36] + [12, 12, 36, 36] * 2


def test_a_slow_side_leaves_the_axis(tmp_path: Path) -> None:
    given = ["--fast", "--threads", "1", "--sides", "ours", "--limit", "0", "--output", str(tmp_path)]
    [point] = growth.main([*given, "--axis", "group"])["axes"]["group"]
    assert point["value"] == 1


def test_a_side_is_held_against_its_first_value_and_the_plain_loops() -> None:
    seconds = {(1, "ours"): 2.0, (1, "plain"): 1.0, (16, "ours"): 6.0, (2, "trl"): 4.0, (16, "trl"): 20.0}
    found = {point: [{"step": one}, {"step": one}] for point, one in seconds.items()}
    over = {name: growth.over_first(name, found[16, name], found) for name in ("ours", "trl")}
    assert {label: ratio["median"] for label, ratio in over["ours"].items()} == {"its own at 1": 3.0}
    assert {label: ratio["median"] for label, ratio in over["trl"].items()} == {
        "its own at 2": 5.0,
        "the plain loop's at 1": 20.0,
    }


def test_the_table_says_where_time_per_sample_does_not_fall() -> None:
    points = [
        {
            "value": value,
            "samples": value,
            "steps": {"ours": {"step": spread([seconds])}},
            "over": {"ours": {"its own at 1": spread([seconds / 2])}},
        }
        for value, seconds in ((1, 2.0), (2, 3.0), (4, 6.0))
    ]
    machine = {"cores": 2, "cpu": "c", "threads": 1, "ours": {}}
    shown = markdown({"kind": "growth", "size": "tiny", "machine": machine, "axes": {"group": points}})
    assert "| group | 4 | ours | 6 (6–6) | 1.5e+03 | 3 (3–3) × its own at 1 |" in shown
    assert "Time per sample along group, ours: does not fall from 2 to 4." in shown


def test_a_side_that_dies_says_why() -> None:
    job = Job(side="ours", shape=SHAPE, model="no-such-folder")
    with pytest.raises(SideEnded, match="no-such-folder"), Side(job):
        pass


def test_ratios_are_of_neighbouring_steps() -> None:
    peer, ours = [{"step": 4.0}, {"step": 9.0}, {"step": 6.0}], [{"step": 2.0}, {"step": 3.0}, {"step": 6.0}]
    assert ratios(peer, ours) == {"step": {"median": 2.0, "min": 1.0, "max": 3.0}}
    assert phases(ours) == {"step": {"median": 3.0, "min": 2.0, "max": 6.0}}


def test_the_longest_bar_is_the_largest_value() -> None:
    sides_ = {"ours": {"median": 1.0, "min": 1.0, "max": 1.0}, "trl": {"median": 4.0, "min": 3.0, "max": 4.0}}
    widths = re.findall(r'width="([0-9.]+)" height="12"', bars({"a<b": sides_}))
    assert [float(w) for w in widths] == [75.0, 300.0]


def test_equal_ratios_are_equal_steps_on_a_curve() -> None:
    line = [(1.0, 1.0), (2.0, 1.0), (4.0, 1.0)]
    picture = curves({"t": {"ours": line}})
    xs = [float(x) for x in re.findall(r'<circle cx="([0-9.]+)"', picture)]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)
