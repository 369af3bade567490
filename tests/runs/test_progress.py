"""News go to stderr, whole and as they are; stdout stays for results."""

import time

import pytest
from rich.console import Console

from stablereward.runs.progress import bar, say


def test_a_line_is_one_line_however_long_and_whatever_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    line = f"report: /runs/{'deep/' * 40}[red]report[/red].html :warning: 12 %"
    say(line)
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"{line}\n")


def test_a_bar_says_nothing_where_nobody_watches(capsys: pytest.CaptureFixture[str]) -> None:
    with bar("training", 3) as progress:
        for done in range(1, 4):
            progress(done, f"loss {1 / done:.3f}")
    assert capsys.readouterr() == ("", "")


def test_a_bar_shows_what_is_done_to_who_watches(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Console(stderr=True, force_terminal=True, width=120, color_system=None)
    monkeypatch.setattr("stablereward.runs.progress.console", terminal)
    with bar("training", 3) as progress:
        progress(2, "loss 0.500")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert all(word in shown.err for word in ("training", "2/3", "loss 0.500"))


def test_a_bar_passes_an_error_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), bar("training", 3) as progress:
        progress(1, "")
        raise KeyError


def test_a_pipe_gets_a_line_now_and_then_without_a_carriage_return(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stablereward.runs.progress.SECONDS_A_LINE", 0.05)
    with bar("training", 3) as progress:
        progress(2, "loss 0.500")
        time.sleep(0.3)  # one long step
    told = capsys.readouterr().err
    assert "  training: 2 of 3, loss 0.500\n" in told and "\r" not in told
