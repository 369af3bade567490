import math
from pathlib import Path

from stablereward.report.curves import Track, curves_section, laid_end_to_end, stage_name, values_of
from stablereward.report.run import Run, read_run

from .reading import Reader


def run_of(*rows: dict[str, object]) -> Run:
    stages = list(dict.fromkeys(str(row["stage"]) for row in rows))
    return Run(folder=Path("run"), updates=list(rows), stages=stages)


def test_values_by_stage_without_what_is_not_finite():
    run = run_of(
        {"stage": "a", "update": 2, "x": 2.0},
        {"stage": "a", "update": 1, "x": 1.0},
        {"stage": "a", "update": 3, "x": math.nan},
        {"stage": "b", "update": 1, "x": True},
        {"stage": "b", "update": 2, "x": 5},
    )
    assert values_of(run, "x") == {Track("a"): [(1, 1.0), (2, 2.0)], Track("b"): [(2, 5)]}
    assert values_of(run, "absent") == {}


def test_a_stage_that_counts_anew_is_moved_behind():
    first, anew, onwards = [(1, 0.1), (40, 0.2)], [(1, 0.3), (9, 0.4)], [(60, 0.5)]
    assert laid_end_to_end({Track("a"): first, Track("b"): anew, Track("c"): onwards}) == {
        Track("a"): first,
        Track("b"): [(41, 0.3), (49, 0.4)],
        Track("c"): onwards,
    }


def test_the_curves_that_matter_are_drawn_and_every_metric_is_listed(run_folder: Path):
    read = Reader(curves_section([read_run(run_folder)]) or "")
    titles = [one["aria-label"].partition(":")[0] for one in read.named("svg", "chart")]
    assert titles[:4] == ["Held-out accuracy", "Reward", "Result reward", "Looks at the image"]
    assert {"Loss, cold start", "Loss, reinforcement learning", "Clipped tokens", "Entropy"} <= set(titles)
    assert "All 27 metrics" in read.text
    for metric in ("advantages/max_abs", "update/skipped", "learning_rate", "reward/std"):
        assert metric in read.text


def test_an_unknown_metric_is_shown_too():
    section = Reader(curves_section([run_of({"stage": "a", "update": 1, "made/up": 0.5})]) or "")
    assert "All 1 metric" in section.text
    assert "made/up" in section.text
    assert not section.named("svg", "chart")


def test_shares_are_drawn_in_per_cent():
    run = run_of(*({"stage": "rl", "update": i, "toy/looks": 0.25 * i} for i in (1, 2, 3)))
    read = Reader(curves_section([run]) or "")
    assert "75 %" in read.text
    assert read.named("svg", "chart")[0]["aria-label"].endswith("25 → 75")


def test_stages_have_the_colours_of_the_timeline():
    rows = [{"stage": stage, "update": 1, "toy/looks": 0.5} for stage in ("a", "b")]
    read = Reader(curves_section([run_of(*rows)]) or "")
    assert read.named("g", "c0") and read.named("g", "c1")
    assert read.named("line", "boundary")


def test_no_metrics_make_no_section():
    assert curves_section([run_of()]) is None
    assert curves_section([run_of({"stage": "a", "update": 1, "x": math.inf})]) is None


def test_stage_names():
    assert stage_name("cold_start") == "Cold start"
    assert stage_name("rl") == "Reinforcement learning"


def learning(*updates: tuple[str, dict[str, float]]) -> Run:
    """Learners in turn after an imitation of two updates."""
    before = [{"stage": "copy", "update": n, "loss": 0.5, "grad_norm": 1.0} for n in (1, 2)]
    return run_of(
        *before,
        *(
            {"stage": "play", "update": n, "learner": learner, **metrics}
            for n, (learner, metrics) in enumerate(updates, 1)
        ),
    )


TURNS = (
    ("critic", {"loss": 0.3, "grad_norm": 2.0, "value/loss": 0.3}),
    ("actor", {"loss": -9.0, "grad_norm": 0.1}),
    ("critic", {"loss": 0.2, "grad_norm": 1.5, "value/loss": 0.2}),
    ("actor", {"loss": -8.0, "grad_norm": 0.2}),
)


def test_learners_in_turn_are_told_apart():
    run = learning(*TURNS)
    assert values_of(run, "loss") == {
        Track("copy"): [(1, 0.5), (2, 0.5)],
        Track("play", "critic"): [(1, 0.3), (3, 0.2)],
        Track("play", "actor"): [(2, -9.0), (4, -8.0)],
    }
    assert list(values_of(run, "value/loss")) == [Track("play")]
    moved = laid_end_to_end(values_of(run, "loss"))
    assert [x for x, _ in moved[Track("play", "critic")]] == [3, 5]
    assert [x for x, _ in moved[Track("play", "actor")]] == [4, 6]
    read = Reader(curves_section([run]) or "")
    said = [one["aria-label"] for one in read.named("svg", "chart")]
    assert "Loss, play, critic: run 0.3 → 0.2" in said and "Loss, play, actor: run −9 → −8" in said
    (norm,) = [one for one in said if one.startswith("Gradient norm:")]
    assert norm == "Gradient norm: Copy 1 → 1; Play, critic 2 → 1.5; Play, actor 0.1 → 0.2"
    assert {one["data-name"] for one in read.named("span", "key")} >= {"Play, critic", "Play, actor"}
    assert read.named("span", "c1") and read.named("span", "c2")


def test_learners_of_several_runs_have_a_chart_each():
    runs = [learning(*TURNS), learning(*TURNS)]
    said = [one["aria-label"] for one in Reader(curves_section(runs) or "").named("svg", "chart")]
    assert {"Gradient norm, critic", "Gradient norm, actor"} <= {one.partition(":")[0] for one in said}


def test_sums_over_tokens_are_drawn_as_means():
    run = run_of({"stage": "rl", "update": 1, "policy/entropy": 3.0, "policy/weight": 6.0})
    assert values_of(run, "policy/entropy") == {Track("rl"): [(1, 0.5)]}
    spoilt = run_of({"stage": "rl", "update": 1, "policy/entropy": 3.0, "policy/weight": "x"})
    assert values_of(spoilt, "policy/entropy") == {Track("rl"): [(1, 3.0)]}


def test_a_loss_is_called_centred_where_advantages_are():
    imitated = run_of({"stage": "rl", "update": 1, "loss": 0.5})
    assert "centred" not in Reader(curves_section([imitated]) or "").text
    reinforced = run_of({"stage": "rl", "update": 1, "loss": 0.5, "advantages/std": 1.0})
    assert "centred" in Reader(curves_section([reinforced]) or "").text
