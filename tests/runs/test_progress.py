"""News go to stderr, whole and as they are; stdout stays for results."""

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
