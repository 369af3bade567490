from pathlib import Path

from stablereward.report.events import MAX_EVENTS, MAX_PLACES, events_section, marks_of
from stablereward.report.run import Run, read_run

from .reading import Reader
from .recording import EVENTS


def text(*events: dict[str, object]) -> str:
    return Reader(events_section(Run(folder=Path("run"), events=list(events))) or "").text


def test_events_are_told_in_words(run_folder: Path):
    said = Reader(events_section(read_run(run_folder)) or "").text
    assert "gradient not finiterl 71detail update skipped" in said
    assert "failuresrl 131reasons: no_verdict 2" in said
    assert "dropped samplerl 30A sample was left out of the update: sample prompt 2, completion 1" in said
    assert "non finiterl 70Not a finite number: loss; update skipped" in said
    assert "collapserl 71The rule “max_entropy” found 1 234, beyond its bound 1 000" in said
    assert "rollbackrl 71Weights of update 60 taken again; learning rate 0.5 of the schedule’s" in said


def test_an_event_without_the_expected_fields_is_told_as_it_is():
    assert text({"event": "collapse", "rule": "a", "extra": 2}).endswith("rule a, extra 2")
    assert text({"event": "stopped", "stage": "rl", "update": 3, "reason": "disk full"}) == (
        "stoppedrl 3The run stopped: disk full"
    )


def test_the_same_words_are_one_row_with_its_updates():
    dropped = [{"event": "dropped_sample", "stage": "rl", "update": i} for i in range(1, MAX_PLACES + 3)]
    assert text(*dropped[:3]) == (
        "dropped sample × 3dropped samplerl 1, 2, 3A sample was left out of the update"
    )
    assert "rl 1, 2, 3, 4, 5, 6, 7, 8 and 2 moreA" in text(*dropped)


def test_many_events_are_counted_and_the_serious_kept():
    dropped = [{"event": "dropped_sample", "update": i, "reason": i} for i in range(MAX_EVENTS + 20)]
    said = text(*dropped, EVENTS[2])
    assert said.startswith(f"dropped sample × {MAX_EVENTS + 20}collapse × 1")
    assert "The rule “max_entropy”" in said
    assert said.endswith("and 21 more events")


def test_marks_are_by_stage_and_need_an_update():
    run = Run(folder=Path("run"), events=[*EVENTS, {"event": "note"}, {"event": "stage", "update": 1}])
    marks = marks_of(run)
    assert [(mark.x, mark.kind, mark.name) for mark in marks["rl"]] == [
        (30, "warn", "dropped sample"),
        (70, "bad", "non finite"),
        (71, "bad", "collapse"),
        (71, "info", "rollback"),
    ]
    assert list(marks) == ["rl"]


def test_nothing_happened():
    assert events_section(Run(folder=Path("run"), events=[{"event": "stage", "seconds": 1}])) is None
