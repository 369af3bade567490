from pathlib import Path

import pytest
from PIL import Image

from stablereward.report import filmstrip as module
from stablereward.report.filmstrip import MAX_COLUMNS, filmstrip
from stablereward.report.run import Group, Run, Written

from .reading import Reader


def run_of(folder: Path, num: int, *questions: str) -> Run:
    groups = []
    for update in range(1, num + 1):
        Image.new("L", (16, 16), update).save(folder / f"{update}.png")
        made = [Written(images=[f"{update}.png"], reward=update / 2)]
        groups += [Group(update=update, question=question, completions=made) for question in questions]
    return Run(folder=folder, groups=groups)


def test_a_prompt_a_row_and_an_update_a_column(tmp_path: Path):
    read = Reader(filmstrip(run_of(tmp_path, 4, "a disc", "two <b>")) or "")
    assert len(read.named("tr")) == 3 and len(read.named("img")) == 8
    assert "update 1update 2update 3update 4a disc0.511.52two <b>0.5" in read.text


def test_many_updates_are_thinned_to_the_first_and_the_last(tmp_path: Path):
    read = Reader(filmstrip(run_of(tmp_path, 20, "a disc")) or "")
    assert len(read.named("img")) == MAX_COLUMNS
    assert "update 1update" in read.text and "update 20" in read.text


def test_it_stays_within_its_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = run_of(tmp_path, 8, "a disc")
    monkeypatch.setattr(module, "BUDGET", len(filmstrip(run) or "") - 1)
    assert len(Reader(filmstrip(run) or "").named("img")) == 7
    monkeypatch.setattr(module, "BUDGET", 10)
    assert filmstrip(run) is None


def test_prompts_that_are_not_kept_again_make_no_film(tmp_path: Path):
    assert filmstrip(run_of(tmp_path, 2, "a disc")) is None
    texts = [Group(update=n, question="q", completions=[Written(text="x")]) for n in range(5)]
    assert filmstrip(Run(folder=tmp_path, groups=texts)) is None
