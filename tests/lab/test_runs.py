"""Runs as processes: done ones are kept, crashed ones reported, interrupted ones begun anew."""

import json
from dataclasses import replace

import pytest

from stablereward.config import dump
from stablereward.lab.jobs import Job
from stablereward.lab.outcome import FILE
from stablereward.lab.runs import LOG, run_all

from .conftest import RL, regime

GOOD = Job(regime=regime(), arm="stable_reinforce", seed=0)
BAD = Job(regime=regime(), arm="no_such_arm", seed=0)


@pytest.mark.slow
def test_a_crash_is_reported_and_the_others_go_on(lab, capsys):
    interrupted = lab / GOOD.name
    interrupted.mkdir(parents=True)
    (interrupted / "config.yaml").write_text(dump(GOOD), encoding="utf-8")
    (interrupted / "metrics.jsonl").write_text('{"stage": "rl", "upd', encoding="utf-8")

    found = run_all(lab, [BAD, GOOD, GOOD], 2)
    assert list(found) == [GOOD] and found[GOOD].arm == "stable_reinforce"
    said = capsys.readouterr().err
    assert f"crashed with exit code 1; see {lab / BAD.name / LOG}" in said.replace("\n", "")
    assert "KeyError: 'no_such_arm'" in (lab / BAD.name / LOG).read_text()
    rows = [json.loads(line) for line in (interrupted / "metrics.jsonl").read_text().splitlines()]
    assert [row["update"] for row in rows if "event" not in row] == [1, 2]

    kept = (interrupted / FILE).stat().st_mtime_ns
    assert run_all(lab, [GOOD], 1) == found
    assert (interrupted / FILE).stat().st_mtime_ns == kept
    assert "1 of 1 runs are done already" in capsys.readouterr().err

    shorter = replace(GOOD, regime=regime(replace(RL, num_updates=1)))
    assert run_all(lab, [shorter], 1)[shorter].course.updates == 1
