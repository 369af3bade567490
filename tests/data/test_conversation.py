"""Conversations of other projects: who said what, where the pictures stand, which tools were called."""

import gzip
import hashlib
from collections import Counter
from pathlib import Path

import pytest

from stablereward.data.formats import FORMATS
from stablereward.data.preferences import read_preferences, read_rows
from stablereward.data.prompts import r1_reward
from stablereward.errors import DataError
from stablereward.types import Message, Preference, ToolCall

SHARED = Path(__file__).parents[3] / "shared" / "data"
FOLDER = Path("data")
IMAGE = (FOLDER / "a.png",)
PAIR = {"question": "Q?", "responses": ("good", "bad"), "ranks": (0, 1)}


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


ANSWERED = {"chosen": [assistant("a")], "rejected": [assistant("b")]}
CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"place": "Oslo"}'},
}
WITH_TOOLS = [
    (
        "sharegpt",
        {
            "conversations": [
                {"from": "human", "value": "Weather?"},
                {"from": "function_call", "value": '{"name": "weather", "arguments": {"place": "Oslo"}}'},
                {"from": "observation", "value": "snow"},
            ],
            "chosen": {"from": "gpt", "value": "good"},
            "rejected": {"from": "gpt", "value": "bad"},
        },
        Preference(
            **PAIR | {"question": ""},
            history=(
                Message("user", ("Weather?",)),
                Message("assistant", (), (ToolCall("weather", {"place": "Oslo"}),)),
                Message("tool", ("snow",)),
            ),
        ),
    ),
    (
        "trl",
        {
            "prompt": [
                user("Weather?"),
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "c1", "content": "snow"},
                user("Q?"),
            ],
            "chosen": [assistant("good")],
            "rejected": [assistant("bad")],
        },
        Preference(
            **PAIR,
            history=(
                Message("user", ("Weather?",)),
                Message("assistant", (), (ToolCall("weather", {"place": "Oslo"}, "c1"),)),
                Message("tool", ("snow",), tool_call_id="c1"),
            ),
        ),
    ),
]


@pytest.mark.parametrize(("name", "row", "expected"), WITH_TOOLS)
def test_calls_of_tools_and_their_results_are_turns(name, row, expected):
    assert FORMATS[name].read(row, "row", FOLDER) == expected


@pytest.mark.parametrize(("name", "row", "expected"), WITH_TOOLS)
@pytest.mark.parametrize(
    "value", [None, 3, [3], "{", {"function": 3}, {"name": "\ud800"}, [{"name": "f", "x": 1}]]
)
def test_law_what_is_no_call_is_a_data_error_or_nothing(name, row, expected, value):
    for field in ("conversations", "prompt"):
        for number, turn in enumerate(row.get(field, ())):
            for key in ("value", "content", "tool_calls", "tool_call_id"):
                turns = [*row[field][:number], {**turn, key: value}, *row[field][number + 1 :]]
                try:
                    FORMATS[name].read({**row, field: turns}, "rows.jsonl:1", FOLDER)
                except DataError as error:
                    assert str(error).startswith("rows.jsonl:1: ") and "\n" not in str(error)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (3, "is no call of a tool"),
        ({"name": "f", "arguments": "{"}, "that is no JSON; write name"),
        ({"name": "f", "arguments": '{"x": NaN}'}, "that is no JSON; write name"),
        ({"name": "f", "arguments": [1]}, "arguments without names"),
        ({"arguments": {}}, "'prompt.tool_calls.name' is missing"),
    ],
)
def test_a_bad_call_is_named_with_its_remedy(call, message):
    row = {"prompt": [{"role": "assistant", "tool_calls": [call]}], **ANSWERED}
    with pytest.raises(DataError, match=f"^rows:1: .*{message}"):
        FORMATS["trl"].read(row, "rows:1", FOLDER)


def turn(speaker: str, text: str) -> dict[str, str]:
    return {"from": speaker, "value": text}


TALK = [turn("human", "<image>\nWho?"), turn("gpt", "Me."), turn("human", "And<image> here?")]
UNMARKED = [turn("system", "S"), turn("human", "Who?"), turn("gpt", "Me."), turn("human", "Q")]


@pytest.mark.parametrize(
    ("context", "images", "history", "question", "asked"),
    [
        (TALK, "ab", [("a", "Who?"), ("Me.",)], "And here?", "b"),
        # As many marks as pictures, or none is sure: all go before the first mark.
        (TALK, "abc", [("a", "b", "c", "Who?"), ("Me.",)], "And here?", ""),
        ([turn("human", "Who?"), *TALK[1:]], "ab", [("Who?",), ("Me.",)], "And here?", "ab"),
        # Without a mark they belong to the user's first turn.
        (UNMARKED, "a", [("S",), ("a", "Who?"), ("Me.",)], "Q", ""),
        ([turn("system", "S"), turn("human", "Q")], "ab", [("S",)], "Q", "ab"),
        # A mark stays a text where there is no picture.
        (TALK, "", [("<image>\nWho?",), ("Me.",)], "And<image> here?", ""),
    ],
)
def test_pictures_of_a_row_go_where_the_turns_have_their_marks(context, images, history, question, asked):
    row = {"conversations": context, "chosen": "x", "rejected": "y", "images": list(images)}
    read = FORMATS["sharegpt"].read(row, "row", FOLDER)
    paths = {FOLDER / name: name for name in "abc"}
    assert [tuple(paths.get(part, part) for part in turn.parts) for turn in read.history] == history
    assert (read.question, "".join(paths[image] for image in read.images)) == (question, asked)
    assert r1_reward(read).images == tuple(FOLDER / name for name in images)


def test_a_turn_that_names_a_picture_without_its_source_has_the_rows():
    first = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Who?"}]}
    row = {"prompt": [first, assistant("Me."), user("Q?")], "images": ["a.png"]} | ANSWERED
    assert FORMATS["trl"].read(row, "row", FOLDER).history[0] == Message("user", (*IMAGE, "Who?"))


def test_an_empty_turn_at_the_end_is_no_question_but_stays():
    row = {"prompt": [user("Hi"), assistant("Yes?"), user("")]} | ANSWERED
    read = FORMATS["trl"].read(row, "row", FOLDER)
    assert read.question == "" and read.messages == read.history and len(read.history) == 3


def test_a_reply_that_calls_a_tool_is_text():
    row = {"prompt": [user("Q?")], "chosen": [{"role": "assistant", "tool_calls": [CALL]}]}
    read = FORMATS["trl"].read(row | {"rejected": [assistant("b")]}, "row", FOLDER)
    assert read.responses == ('{"name": "weather", "arguments": {"place": "Oslo"}}', "b")


LLAMA_FACTORY = SHARED / "llama_factory_demo"


@pytest.mark.skipif(not SHARED.exists(), reason="the real files are not beside this checkout")
@pytest.mark.parametrize(
    ("file", "num", "roles", "transcripts"),
    [
        # The transcripts are those of the version that wrote every conversation into its question.
        ("dpo_en_demo.json", 300, {("system",): 80, (): 114}, "68724fb77369b84f"),
        ("v1_dpo_demo.jsonl", 10, {("system",): 10}, "3d2b7aff8b8d8f26"),
    ],
)
def test_real_conversations_have_a_history_and_the_judge_reads_them_as_ever(file, num, roles, transcripts):
    read = list(read_preferences(LLAMA_FACTORY / file))
    found = Counter(tuple(turn.role for turn in one.history) for one in read)
    assert len(read) == num and found.items() >= roles.items()
    digest = hashlib.sha256()
    for one in read:
        prompt = r1_reward(one)
        digest.update(repr((prompt.text, prompt.images)).encode())
    assert digest.hexdigest()[:16] == transcripts


@pytest.mark.skipif(not SHARED.exists(), reason="the real files are not beside this checkout")
def test_the_real_dialogues_of_hh_rlhf(tmp_path):
    whole = gzip.decompress((SHARED / "hh_rlhf/harmless-base/test.jsonl.gz").read_bytes())
    (tmp_path / "test.jsonl").write_bytes(whole)
    rows = list(read_rows(tmp_path / "test.jsonl"))
    read = [row for row in rows if isinstance(row, Preference)]
    # Five pairs differ before their last turn, and four have an empty response.
    assert (len(rows), len(read)) == (2312, 2303)
    assert all(one.messages[-1].role == "user" for one in read)
    assert {turn.role for one in read for turn in one.history} == {"user", "assistant"}
    assert sum(not one.history for one in read) > 600
