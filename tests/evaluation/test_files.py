"""Reading what other projects wrote."""

from pathlib import Path

import pytest
from pydantic import BaseModel

from stablereward.errors import DataError
from stablereward.evaluation.files import fields, read_document, read_rows, unknown_form


class Form(BaseModel):
    id: str
    n: int


ROWS = [Form(id="a", n=1), Form(id="b", n=2)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.json", '[{"id": "a", "n": 1, "more": []}, {"id": "b", "n": 2}]'),
        ("rows.jsonl", '{"id": "a", "n": 1}\n\n{"id": "b", "n": 2}\n'),
        ("rows.json", '{"id": "a", "n": 1}\n{"id": "b", "n": 2}'),
        ("rows.csv", "id,n\na,1\nb,2\n"),
        ("rows.json", '\ufeff[{"id": "a", "n": 1},\n{"id": "b", "n": 2}]'),
    ],
)
def test_rows_of_every_kind_of_file(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert read_rows(path, Form) == ROWS
    assert {"id", "n"} <= fields(path)


def test_a_line_separator_inside_a_text_ends_no_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": "a\u2028b", "n": 1}\n', encoding="utf-8")
    assert read_rows(path, Form) == [Form(id="a\u2028b", n=1)]


def test_a_document(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    path.write_text('{\n "x": 0.5,\n "y": 1\n}')
    assert read_document(path, dict[str, float]) == {"x": 0.5, "y": 1.0}
    assert fields(path) == {"x", "y"}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.json", b'[{"id": "a", "n": 1}, {"id": "b"}]', r"rows.json: row 2: field 'n': .*required"),
        ("rows.jsonl", b'{"id": "a", "n": 1}\n{"id": "b", "n": "x"}', r"rows.jsonl:2: field 'n'"),
        ("rows.csv", b"id,n\na,1\nb,x\n", r"rows.csv: row 2: field 'n'"),
        ("rows.jsonl", b'{"id": \n', r"rows.jsonl:1: not JSON .* column"),
        ("rows.json", b"[" * 100_000 + b"]" * 100_000, r"rows.json: JSON that cannot be read"),
        ("rows.json", b'[{"id": "\xff"}]', r"rows.json: not UTF-8"),
        ("rows.jsonl", b"3\n", r"rows.jsonl:1: "),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_rows(path, Form)


def test_an_absent_file_and_one_without_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none.json: cannot be read"):
        read_rows(tmp_path / "none.json", Form)
    for content in ("[]", "[1]", "{}"):
        path = tmp_path / "empty.json"
        path.write_text(content)
        with pytest.raises(DataError, match="holds no JSON objects"):
            fields(path)


def test_what_a_file_holds_breaks_no_message(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a\\nb": 1}\n')
    assert r"has the fields a\nb; known" in str(unknown_form(path, "{c}"))
    path.write_text('{"rows": [{"a\\nb\\u001b": "x"}]}\n')
    with pytest.raises(DataError) as raised:
        read_rows(path, dict[str, list[dict[str, int]]])
    said = str(raised.value)
    assert "\n" not in said and "\x1b" not in said and "a\\" in said


def test_an_unknown_form_says_what_it_has_and_what_is_known(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"b": 1, "a": 2}\n')
    assert str(unknown_form(path, "{c}")) == f"{path}: no known form has the fields a, b; known are {{c}}"
