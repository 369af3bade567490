"""The sides in processes of their own do the same work. TRL joins where its environment is."""

import json
import re
from pathlib import Path

import pytest

from performance import compare, growth
from performance.environment import trl_python
from performance.picture import Bars, Curves, bars, curves
from performance.race import SideEnded, gradient_gaps, phases, ratios, sides
from performance.work import Job, Shape, create

SHAPE = Shape(prompt=30, completion=3, prompts=2, group=2, image=4)


@pytest.mark.slow
def test_the_gradient_of_trl_is_ours(tmp_path: Path) -> None:
    if trl_python() is None:
        pytest.skip("TRL's environment is not there; python -m performance.environment makes it")
    create(tmp_path, "tiny")
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
def test_growth_runs_along_an_axis(tmp_path: Path) -> None:
    rest = ["--fast", "--threads", "1", "--steps", "1", "--output", str(tmp_path)]
    grown = growth.main(["--axis", "group", "--sides", "ours", *rest])
    assert [point["samples"] for point in grown["axes"]["group"]] == [4]


def test_a_side_that_dies_says_why() -> None:
    job = Job(side="ours", shape=SHAPE, model="no-such-folder")
    with pytest.raises(SideEnded, match="no-such-folder"), sides([job]):
        pass


def test_ratios_are_of_neighbouring_steps() -> None:
    peer, ours = [{"step": 4.0}, {"step": 9.0}, {"step": 6.0}], [{"step": 2.0}, {"step": 3.0}, {"step": 6.0}]
    assert ratios(peer, ours) == {"step": {"median": 2.0, "min": 1.0, "max": 3.0}}
    assert phases(ours) == {"step": {"median": 3.0, "min": 2.0, "max": 6.0}}


def test_the_longest_bar_is_the_largest_value() -> None:
    sides_ = {"ours": {"median": 1.0, "min": 1.0, "max": 1.0}, "trl": {"median": 4.0, "min": 3.0, "max": 4.0}}
    widths = re.findall(r'width="([0-9.]+)" height="12"', bars([Bars(title="a<b", unit="s", values=sides_)]))
    assert [float(w) for w in widths] == [75.0, 300.0]


def test_equal_ratios_are_equal_steps_on_a_curve() -> None:
    line = [(1.0, 1.0), (2.0, 1.0), (4.0, 1.0)]
    picture = curves([Curves(title="t", x_label="x", y_label="y", points={"ours": line})])
    xs = [float(x) for x in re.findall(r'<circle cx="([0-9.]+)"', picture)]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)
