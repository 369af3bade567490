from pathlib import Path
from typing import Any

from stablereward.report.alerts import MAX_NAMED, alerts, left_out, no_signal
from stablereward.report.page import run_page
from stablereward.report.run import Run

from .reading import Reader


def run(spreads: list[float], *events: dict[str, Any]) -> Run:
    updates = [{"stage": "rl", "update": i, "reward/std": spread} for i, spread in enumerate(spreads, 1)]
    return Run(folder=Path("run"), stages=["rl"], updates=updates, events=list(events))


def test_rewards_that_never_vary_are_said_at_the_top():
    flat = run([0.0, 1e-12, 0.0])
    assert no_signal(flat).startswith(
        "Reinforcement learning: the rewards did not vary in all of 3\N{NO-BREAK SPACE}updates"
    )
    page = run_page(flat)
    assert page.index('class="alert"') < page.index("<section")
    assert "the rewards did not vary" in Reader(page).text


def test_one_update_with_a_spread_is_a_signal():
    assert no_signal(run([0.0, 0.0, 0.25])) == ""
    assert no_signal(run([])) == ""


def test_the_event_of_the_training_is_believed_whatever_the_figures():
    event = {"event": "no_signal", "stage": "rl", "update": 8, "collections": 8}
    flat = run([0.0] * 8 + [0.5], event)
    assert no_signal(flat).startswith("Reinforcement learning: the rewards did not vary by update 8")
    assert "The rewards have not varied for 8 collections" in Reader(run_page(flat)).text


def test_what_is_left_out_is_one_line_of_bounded_length():
    assert left_out(run([])) == ""
    damaged = Run(folder=Path("run"), notices=["a.json left out:\n\x1bbad", *("x" * 500 for _ in range(9))])
    line = left_out(damaged)
    assert line.startswith("Not all of this run could be read: a.json left out: \ufffdbad; xxx")
    assert line.endswith(f"; and {10 - MAX_NAMED}\N{NO-BREAK SPACE}more notices, see Events.")
    assert "\n" not in line and len(line) < 800


def test_each_of_several_runs_is_named():
    told = alerts([run([0.0]), Run(folder=Path("other"), notices=["b.json is not in the folder"])])
    said = Reader(told or "").text
    assert "run: Reinforcement learning: the rewards" in said
    assert "other: Not all of this run could be read: b.json is not in the folder." in said
    assert alerts([run([1.0])]) is None
