"""Reading verdicts: what counts, what fails and why, and that hostile text costs linear time."""

import itertools
import re
import time

import pytest

from stablereward.data.parsing import Verdict, strict_format, verdict
from stablereward.types import Failure

PAPER = re.compile(r"^<think>.*?</think><answer>.*?</answer>$", re.DOTALL)


def reason(text: str, num_responses: int = 2) -> str:
    opinion = verdict(text, num_responses)
    assert isinstance(opinion, Failure)
    return opinion.reason


def test_the_format_of_the_paper():
    assert strict_format("<think>a\nb</think><answer>1</answer>")
    assert strict_format("<think></think><answer></answer>\n")
    assert not strict_format("<think>a</think> <answer>1</answer>")
    assert not strict_format("<think>a</think><answer>1</answer> ")
    assert not strict_format("<think>a</think><answer>1</answer></answer>")
    assert not strict_format("")


def test_law_strict_format_is_the_regex_and_each_tag_once():
    pieces = ("<think>", "</think>", "<answer>", "</answer>", "x", "\n")
    tags = pieces[:4]
    accepted = 0
    for length in range(7):
        for parts in itertools.product(pieces, repeat=length):
            text = "".join(parts)
            expected = PAPER.match(text) is not None and all(text.count(tag) == 1 for tag in tags)
            assert strict_format(text) == expected, text
            accepted += expected
    assert accepted == 22


SPELLINGS = ["2", " 2 ", "\n2\n", "**2**", '"2"', "[2]", "(2)", "2.", "\\boxed{2}", "$\\boxed{2}$", "  `2`\t"]
SPELLINGS += [
    "Response 2",
    "**Response 2**",
    "Response **2**",
    "[Response 2]",
    "\\boxed{Response 2}",
    "Answer: 2",
]
SPELLINGS += ["response 2 is better.", "the option #2", "Response 2 is the better response"]


@pytest.mark.parametrize("answer", SPELLINGS)
def test_spellings_of_one_verdict(answer):
    text = f"<think> why \n</think>\n\n<answer>{answer}</answer>"
    assert verdict(text, 2) == Verdict(choice=1, reasoning="why")


@pytest.mark.parametrize(
    ("text", "reasoning"),
    [
        ("<think>why</think><answer>1</answer>", "why"),
        ("why</think><answer>1</answer>", "why"),
        ("why <answer>1</answer>", "why"),
        ("<answer>1</answer>", ""),
        ("<THINK>why</THINK><Answer >1</ANSWER>", "why"),
        ("<think>maybe <answer>2</answer></think><answer>1</answer>", "maybe <answer>2</answer>"),
        ("maybe <answer>2</answer></think><answer>1</answer>", "maybe <answer>2</answer>"),
        ("<think>why</think><think>or <answer>2</answer></think><answer>1</answer>", "why"),
        ("why </answer> so <answer>1</answer>", "why </answer> so"),
        ("<think>why</think><answer>1</answer> so <answer>Response 1</answer>", "why"),
        ("<think>why</think><answer>1</answer></think></answer>", "why"),
    ],
)
def test_where_the_verdict_is_found(text, reasoning):
    assert verdict(text, 2) == Verdict(choice=0, reasoning=reasoning)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no_answer"),
        ("Response 2 is better.", "no_answer"),
        ("<think>so 2</think> 2", "no_answer"),
        ("<think>I say <answer>2</answer></think>", "no_answer"),
        ("2</answer>", "no_answer"),
        ("<think>still thinking 2", "truncated"),
        ("<think>maybe <answer>1</answer>, but wait", "truncated"),
        ("<think>why <answer>1</answer>", "truncated"),
        ("<answer>1</answer><think>or rather", "truncated"),
        ("<think>why</think><answer>1</answer><think>but wait", "truncated"),
        ("<think>why</think><think>again <answer>2</answer>", "truncated"),
        ("<answer>1</answer><think>why</think>", "no_answer"),
        ("<think>why</think><answer>", "truncated"),
        ("<think>why</think><answer>1", "truncated"),
        ("<think>why</think><answer>1</answer><answer>", "truncated"),
        ("<answer>1</answer><answer>2</answer>", "ambiguous_answer"),
        ("<answer>1/2</answer>", "ambiguous_answer"),
        ("<answer>1 or 2</answer>", "ambiguous_answer"),
        ("<answer>Response 1 is better than response 2</answer>", "ambiguous_answer"),
        ("<answer></answer>", "unreadable_answer"),
        ("<answer>Response 1 is worse</answer>", "unreadable_answer"),
        ("<answer>not 1</answer>", "unreadable_answer"),
        ("<answer>-1</answer>", "unreadable_answer"),
        ("<answer>both</answer>", "unreadable_answer"),
        ("<answer>２</answer>", "unreadable_answer"),
        ("<answer>1" + " " * 300 + "</answer>", "unreadable_answer"),
        ("<answer>1</answer><answer>?</answer>", "unreadable_answer"),
        ("<answer>0</answer>", "out_of_range"),
        ("<answer>3</answer>", "out_of_range"),
    ],
)
def test_nothing_is_guessed(text, expected):
    assert reason(text) == expected


def test_more_than_two_responses():
    assert verdict("<answer>12</answer>", 12) == Verdict(choice=11)
    assert reason("<answer>12</answer>", 11) == "out_of_range"


SENTENCES = [
    "<answer>{}</answer>",
    "<think>x</think><answer>**{}**</answer>",
    "y<answer>\\boxed{{{}}}</answer>",
]
SENTENCES += [
    "<answer>Response {} is better</answer>",
    "<answer>{} {}</answer>",
    "<answer>{}",
    "{}",
    "<think>{}",
]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_law_swapping_the_digits_swaps_the_verdict(sentence):
    one, two = (verdict(sentence.format(digit, digit), 2) for digit in "12")
    if isinstance(one, Verdict):
        assert isinstance(two, Verdict)
        assert (one.choice, two.choice) == (0, 1)
    else:
        assert isinstance(two, Failure)
        assert one.reason == two.reason


HOSTILE = [
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "</think><answer>",
    "<think></think>",
    "<answer>1</answer>",
    "<answer ",
]
HOSTILE += ["<", " ", "1", "\n", "<answer>1/2 response </answer>", "\\boxed{"]


@pytest.mark.parametrize("piece", HOSTILE)
def test_ten_megabytes_of_hostile_text_take_seconds(piece):
    text = piece * (10_000_000 // len(piece))
    start = time.process_time()
    for hostile in (f"<think>{text}", f"<answer>{text}</answer>", f"<think>x</think><answer>1{text}"):
        strict_format(hostile)
        verdict(hostile, 2)
    assert time.process_time() - start < 30
