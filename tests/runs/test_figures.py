"""Figures are kept as they were, and nothing else is taken for them."""

from pathlib import Path

import pytest

from stablereward.errors import DataError
from stablereward.runs.figures import FILE, Figure, read, write

TWO = [
    Figure(name="gold", value=0.5, low=0.4, high=0.6, n=9, about="share"),
    Figure(name="steps", value=-3.0, about="mean"),
]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read(tmp_path) == []
    write(tmp_path, TWO)
    assert read(tmp_path) == TWO


def test_impossible_figures_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two figures have one name"):
        write(tmp_path, [TWO[0], TWO[0]])
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(tmp_path, [Figure(name="gold", value=float("nan"), about="")])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", "{", '{"gold": 3}', '{"gold": {"value": "high", "about": ""}}'])
def test_another_file_is_one_line(text: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(DataError, match="not the figures of a run") as error:
        read(tmp_path)
    assert "\n" not in str(error.value)
