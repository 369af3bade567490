"""The section on over-optimisation: from the file that the evaluation writes, and from a damaged one."""

from pathlib import Path

import numpy as np

from stablereward.evaluation.over_optimization import FILE, curve, write
from stablereward.report.page import run_page
from stablereward.report.quantities import number
from stablereward.report.run import read_run


def folder(path: Path) -> Path:
    (path / "config.yaml").write_text("seed: 0\n")
    return path


def test_gold_and_proxy_are_drawn_for_every_scorer(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0)
    gold, other = drawn.normal(size=(2, 20, 8))
    curves = {
        name: curve(list(proxy), list(gold), (1, 2, 8)) for name, proxy in (("a<b", gold), ("o", other))
    }
    write(folder(tmp_path), curves)
    page = run_page(read_run(tmp_path))
    assert "Gold of best-of-n" in page and "Proxy of best-of-n" in page
    assert "a&lt;b" in page and "a<b" not in page
    lost = curves["o"].lost
    assert lost.low is not None and lost.high is not None
    assert f"{number(lost.value)} [{number(lost.low)}, {number(lost.high)}]" in page


def test_a_run_without_it_has_no_section(tmp_path: Path) -> None:
    assert "Optimised" not in run_page(read_run(folder(tmp_path)))


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    (folder(tmp_path) / FILE).write_text('{"a": {"points": [{"n": "x"}]}}')
    assert f"{FILE} left out" in run_page(read_run(tmp_path))
