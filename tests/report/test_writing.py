import time

import pytest

from stablereward.report.clips import Clip
from stablereward.report.writing import MAX_TEXT, clipped, question, writing

from .reading import Reader


def test_thinking_and_answer_are_told_apart():
    read = Reader(writing("<think>Look: a <b>.\nRight.</think>\n<answer>2</answer>"))
    assert read.named("div", "think")
    assert read.text == "Look: a <b>. Right.answer2"


def test_what_follows_the_answer_is_shown():
    assert "and more" in Reader(writing("<think>a</think><answer>1</answer> and more")).text


def test_other_text_is_shown_as_it_is():
    for text in ("", "Response 1", "<answer>1</answer><think>late</think>", "<think>never ends"):
        read = Reader(writing(text))
        assert read.text == f"not in the asked form{text}"
        assert read.named("div", "raw")


def test_long_text_loses_its_middle():
    text = "a" * MAX_TEXT + "z" * MAX_TEXT
    shown = clipped(text)
    assert shown.startswith("a" * 100)
    assert shown.endswith("z" * 100)
    assert len(shown) < MAX_TEXT + 60
    assert clipped("a" * MAX_TEXT) == "a" * MAX_TEXT


def test_the_better_response_is_marked():
    read = Reader(question("Which?", ["one", "two"], 1))
    assert [one["class"] for one in read.named("div", "response")] == ["response", "response best"]
    assert "Response 2better" in read.text
    assert "better" not in Reader(question("Which?", ["one", "two"], None)).text


def test_clipped_tokens_are_marked_in_the_part_they_are_in():
    text = "<think> see </think><answer>2</answer>"
    page = writing(text, [Clip(8, 11, 1, ("low",)), Clip(text.index("2"), text.index("2") + 1, 4, ("high",))])
    assert ">see</mark></div>" in page and ">2</mark></b>" in page
    in_the_tag = writing(text, [Clip(0, 7, 0, ("low",))])
    assert "&lt;think&gt;</mark> see &lt;/think&gt;" in in_the_tag
    assert "not in the asked form" not in in_the_tag


def test_marks_at_both_ends_of_a_long_text_are_kept():
    text = "a" * (MAX_TEXT + 100)
    page = writing(text, [Clip(0, 1, 0, ("low",)), Clip(len(text) - 1, len(text), 99, ("low",))])
    assert page.count("<mark") == 2
    assert "100 characters left out" in page.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize("piece", ["</think><answer>", "<think>", "</think>", "<answer>", "</answer>", " "])
def test_ten_megabytes_of_hostile_text_take_seconds(piece):
    text = piece * (10_000_000 // len(piece))
    started = time.process_time()
    for hostile in (text, f"<think>{text}", f"<think>a</think><answer>{text}"):
        writing(hostile)
    assert time.process_time() - started < 30
