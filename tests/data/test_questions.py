"""Prompt files: texts, turns of a chat, preferences, answers; and what is wrong with a row."""

import json
from pathlib import Path

import pytest

from stablereward.data.questions import Question, read_questions
from stablereward.errors import DataError
from stablereward.types import Message, Prompt


def written(folder: Path, *rows: object) -> Path:
    path = folder / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_every_kind_of_row(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"prompt": "Why?"},
        {"problem": "1 + 1", "answer": 2},
        {"prompt": [{"role": "user", "content": "Hello"}], "ground_truth": "x"},
        {"question": "Which?", "responses": ["a", "b"], "best": 0},
        {"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]},
        {"question": "Which?", "responses": ["a", "b"], "history": [{"role": "user", "content": "Hi"}]},
    )
    hello, which = Prompt.user(text="Hello"), Prompt.user(text="Which?")
    assert read_questions(path) == [
        Question(prompt=Prompt.user(text="Why?")),
        Question(prompt=Prompt.user(text="1 + 1"), answer="2"),
        Question(prompt=Prompt.user(text="Hello"), answer="x"),
        Question(prompt=Prompt.user(text="Which?")),
        Question(prompt=Prompt(messages=(Message("system", ("Be brief.",)), *hello.messages))),
        Question(prompt=Prompt(messages=(Message("user", ("Hi",)), *which.messages))),
    ]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"text": "Why?"}, "prompts.jsonl:1: no field prompt, question, problem"),
        ({"prompt": " "}, "field 'prompt' is neither a text nor a chat in which"),
        ({"prompt": [{"role": "system", "content": "x"}]}, "neither a text nor a chat"),
        (["Why?"], "a row is list"),
    ],
)
def test_what_is_wrong_with_a_row(tmp_path: Path, row: object, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        read_questions(written(tmp_path, row))


def test_a_file_that_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_questions(tmp_path / "gone.jsonl")
    with pytest.raises(DataError, match="no questions in it"):
        read_questions(written(tmp_path))
