"""An experiment from its arms to its page, on a recipe that takes no time."""

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stablereward.errors import ConfigError, DataError
from stablereward.lab import evidence as files
from stablereward.lab import recipe as lab
from stablereward.lab.experiment import Claim, Experiment, arm, change, gain, growth, less, level, more
from stablereward.lab.experiment import tested as put_to
from stablereward.lab.recipe import Written, name_of, put_to_the_test
from stablereward.lab.recipe_page import Subject, new_names, page
from tests.lab import coin

MODULE = "tests.lab.coin"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("lab")
    return made


def written_by(folder: Path, monkeypatch: pytest.MonkeyPatch, seeds: int = 3, **given: Any) -> Written:
    monkeypatch.setattr(lab, "with_experiments", lambda: [(name_of(MODULE), coin)])
    paths = {"output": folder / "runs", "evidence": folder / "evidence", "docs": folder / "docs"}
    return put_to_the_test(MODULE, seeds=seeds, processes=2, **paths, **given)


def test_every_arm_is_run_from_every_seed_and_its_claims_are_tested(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = written_by(folder, monkeypatch)
    assert not written.failed
    verdicts = [line.partition(":")[0] for line in written.summary.splitlines()]
    assert verdicts == ["shown", "shown", "refuted", "not shown", "unknown"]
    made = files.read(written.evidence)
    assert made is not None and list(made.arms) == ["loaded", "fair", "fair again"]
    assert made.arms["loaded"].seeds == (0, 1, 2) and made.arms["loaded"].changes == ("heads=0.8",)
    assert made.arms["fair"].figures == made.arms["fair again"].figures
    expected = [sum(coin.throw(coin.Config(throws=200, seed=seed))) / 200 for seed in range(3)]
    assert made.arms["fair"].figures["heads"] == pytest.approx(expected)
    curve = made.arms["fair"].curves["throw heads"]
    assert [x for x, _ in curve] == [float(x) for x in range(1, 200, 10)]
    text = written.page.read_text(encoding="utf-8")
    for part in (
        "# coin",
        "A fair coin shows heads in half",
        "**refuted**",
        "**shown**",
        "`throw`",
    ):
        assert part in text
    assert (folder / "docs/coin.svg").read_text(encoding="utf-8").startswith("<svg xmlns")
    assert "1 refuted" in (folder / "docs/README.md").read_text(encoding="utf-8")


def test_what_is_done_is_not_done_again_and_other_settings_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = written_by(folder, monkeypatch).evidence.read_bytes()
    calls = folder / "runs" / name_of(MODULE) / "fair" / "seed-0" / "calls.jsonl"
    assert len(calls.read_text().splitlines()) == 1
    assert "9 of 9 runs are done already" in capsys.readouterr().err
    written = written_by(folder, monkeypatch, seeds=4)
    assert len(calls.read_text().splitlines()) == 1 and "9 of 12 runs" in capsys.readouterr().err
    assert written.evidence.read_bytes() != before
    monkeypatch.setattr(coin, "tiny", lambda: coin.Config(throws=100))
    assert lab.trials(MODULE, coin.EXPERIMENT.arms, 1)
    from stablereward.lab.trials import read

    [trial, *_] = lab.trials(MODULE, coin.EXPERIMENT.arms, 1)
    assert read(folder / "runs" / name_of(MODULE), coin.EXPERIMENT, trial) is None


def test_a_run_that_fails_is_named_and_the_others_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = {
        **coin.EXPERIMENT.arms,
        "broken": coin.EXPERIMENT.arms["fair"].__class__(about="", changes=("broken=true",)),
    }
    broken = Experiment(says="", arms=arms, figures={}, claims=coin.EXPERIMENT.claims)
    monkeypatch.setattr(coin, "EXPERIMENT", broken)
    written = written_by(tmp_path, monkeypatch, arms=("broken",), seeds=2)
    [failed] = written.failed
    assert failed.name == "seed-1" and "the coin is gone" in (failed / "log.txt").read_text()
    made = files.read(written.evidence)
    assert made is not None and made.arms["broken"].seeds == (0,)


def test_names_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="has no arm 'lost'; there are loaded, fair, fair again"):
        written_by(tmp_path, monkeypatch, arms=("lost",))
    bare = ModuleType("bare")
    monkeypatch.setattr(lab, "import_module", lambda name: bare)
    with pytest.raises(ConfigError, match="has no experiment"):
        written_by(tmp_path, monkeypatch)


def test_verdicts_by_hand() -> None:
    def verdict(values: list[float], **bound: float) -> str:
        claim = Claim(says="x", measure=level("f", "a"), control="c", **bound)
        return put_to(claim, {n: {"a": {"f": value}} for n, value in enumerate(values)}).verdict

    assert verdict([1.0, 1.1, 0.9], above=0.5) == "shown" == verdict([1.0, 1.1, 0.9], below=2.0)
    assert verdict([1.0, 1.1, 0.9], above=1.5) == "refuted" == verdict([1.0, 1.1, 0.9], below=0.5)
    assert verdict([1.0, 2.0, 0.0], above=0.9) == "not shown"
    assert verdict([1.0], above=0.9) == "unknown" == verdict([1.0, float("nan")], above=0.9)
    for bound in ({}, {"above": 1.0, "below": 2.0}):
        with pytest.raises(ValueError, match="give one of above and below"):
            Claim(says="x", measure=level("f", "a"), control="c", **bound)


def test_without_evidence_the_page_says_what_would_be_tested() -> None:
    text = page(Subject.of("tests/coin", coin), None)
    assert "## Claims, not yet tested" in text and "above 0.1" in text and "## Arms" not in text
    assert new_names("class Config: ...\ndef run(): ...\ndef new(): ...\ndef _own(): ...") == ["new"]


def test_a_file_that_is_no_evidence_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    assert files.read(path) is None
    path.write_text(json.dumps({"recipe": 3}))
    with pytest.raises(DataError, match="not evidence of a recipe") as error:
        files.read(path)
    assert "\n" not in str(error.value)


def test_claims_in_short_are_the_measures_in_words() -> None:
    arms = {"a": {"x": 3.0, "start_x": 2.0}, "b": {"x": 1.0}}
    above, below = more("says", "x", "a", "b", 0.5), less("says", "x", "a", "b", control="else")
    assert above.measure(arms) == below.measure(arms) == 2.0
    assert (above.above, above.below, above.control) == (0.5, None, "b")
    assert (below.above, below.below, below.control) == (None, 0.0, "else")
    assert gain("x", "a", "start_x")(arms) == 1.0 and growth("x", "a", "start_x")(arms) == 1.5
    assert (
        change("x", "a", "start_x")(arms)
        == 0.5
        == change("x", "c", "start_x")({"c": {"x": 1.0, "start_x": 2.0}})
    )
    assert arm("about", "k=1", "l=2").changes == ("k=1", "l=2")


def test_the_pages_are_those_of_the_code_and_the_evidence() -> None:
    root = Path(__file__).parents[2]
    for name, content in lab.pages(root / "evidence").items():
        assert (root / "docs/recipes" / name).read_text(encoding="utf-8") == content, (
            f"{name}: run lab.recipe.write_pages"
        )


def test_the_page_keeps_its_diagram_and_shows_every_curve(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = files.read(written_by(folder, monkeypatch).evidence)
    assert made is not None
    curve = made.arms["fair"].curves["throw heads"]
    arms = {
        name: replace(arm, curves={"throw heads": curve, "throw tails": curve})
        for name, arm in made.arms.items()
    }
    subject = replace(
        Subject.of("tests/coin", coin), docstring="A coin.\n\n    throw → side\n    again\n\nMore."
    )
    text = page(subject, replace(made, arms=arms))
    assert "\n\n    throw → side\n    again\n\nMore." in text
    assert "![heads of every arm](coin.svg)" in text and "![tails of every arm](coin-2.svg)" in text
