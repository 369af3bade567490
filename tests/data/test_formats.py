"""Every format: one row by hand, what it becomes, that it is recognised, and what is refused."""

import base64
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from stablereward.data.formats import FORMATS
from stablereward.data.prompts import r1_reward
from stablereward.errors import DataError
from stablereward.types import Message, Preference, ToolCall

FOLDER = Path("data")
IMAGE = (FOLDER / "a.png",)
PAIR = {"question": "Q?", "responses": ("good", "bad"), "ranks": (0, 1)}
MESSAGE_TEXT = r1_reward(Preference(question="Q?", responses=("bad", "good"))).text


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"place": "Oslo"}'},
}


def message(*parts: dict[str, str]) -> str:
    return json.dumps([{"role": "user", "content": list(parts)}])


TEXT_PART = {"type": "text", "text": MESSAGE_TEXT}
IMAGE_PART = {"type": "image", "image": "/abs/b.png"}

EXAMPLES = [
    (
        "stablereward",
        {"id": "7", "category": "c", "question": "Q?", "responses": ["x", "y", "z"], "ranks": [1, 0, 1]}
        | {"images": ["a.png", "/b.png"], "extra": {"source": "s"}},
        Preference(
            question="Q?",
            responses=("x", "y", "z"),
            ranks=(1, 0, 1),
            images=(FOLDER / "a.png", Path("/b.png")),
            id="7",
            category="c",
            extra={"source": "s"},
        ),
    ),
    (
        "stablereward",
        {"question": "", "responses": ["x", "y", "z"], "best": 2},
        Preference(question="", responses=("x", "y", "z"), ranks=(1, 1, 0)),
    ),
    (
        "stablereward",
        {"question": "Q?", "responses": ["x", "y"]},
        Preference(question="Q?", responses=("x", "y")),
    ),
    (
        "chosen_rejected",
        {
            "id": 3,
            "prompt": "Q?",
            "chosen": "good",
            "rejected": "bad",
            "image": "a.png",
            "chosen_reason": "because",
        },
        Preference(**PAIR, images=IMAGE, id="3", extra={"chosen_reason": "because"}),
    ),
    (
        "chosen_rejected",
        {"query": "Q?", "chosen": "good", "rejected": "bad", "subset": "safety", "images": None},
        Preference(**PAIR, category="safety"),
    ),
    (
        "trl",
        {"prompt": [user("<image>Q?")], "chosen": [assistant("good")], "rejected": [assistant("bad")]}
        | {"images": ["a.png"]},
        Preference(**PAIR, images=IMAGE),
    ),
    (
        "trl",
        {"chosen": [user("Q?"), assistant("good")], "rejected": [user("Q?"), assistant("bad")]},
        Preference(**PAIR),
    ),
    (
        "trl",
        {
            f"{name}_messages": [
                {"role": "system", "content": [{"type": "text", "value": "Be brief."}]},
                {
                    "role": "user",
                    "content": [{"type": "image_url", "value": "a.png"}, {"type": "text", "value": "Q?"}],
                },
                {"role": "assistant", "content": [{"type": "text", "value": text}]},
            ]
            for name, text in (("chosen", "good"), ("rejected", "bad"))
        },
        Preference(**PAIR, images=IMAGE, history=(Message("system", ("Be brief.",)),)),
    ),
    (
        "sharegpt",
        {
            "conversations": [
                {"from": "human", "value": "Who?<image>"},
                {"from": "gpt", "value": "Me."},
                {"from": "human", "value": "Why?"},
            ],
            "chosen": {"from": "gpt", "value": "good"},
            "rejected": {"from": "gpt", "value": "bad"},
            "images": ["a.png"],
        },
        Preference(
            **PAIR | {"question": "Why?"},
            history=(Message("user", ("Who?", *IMAGE)), Message("assistant", ("Me.",))),
        ),
    ),
    (
        "hh_rlhf",
        {
            name: f"\n\nHuman: Hi\n\nAssistant: Yes?\n\nSo?\n\nHuman: Q?\n\nAssistant: {text}"
            for name, text in (("chosen", "good"), ("rejected", "bad"))
        },
        Preference(**PAIR, history=(Message("user", ("Hi",)), Message("assistant", ("Yes?\n\nSo?",)))),
    ),
    (
        "stablereward",
        {"question": "Q?", "responses": ["good", "bad"], "best": 0}
        | {
            "history": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": ["Who?", {"image": "a.png"}]},
                {"role": "assistant", "tool_calls": [CALL]},
                {"role": "tool", "content": "snow", "tool_call_id": "c1"},
            ]
        },
        Preference(
            **PAIR,
            history=(
                Message("system", ("Be brief.",)),
                Message("user", ("Who?", *IMAGE)),
                Message("assistant", (), (ToolCall("weather", {"place": "Oslo"}, "c1"),)),
                Message("tool", ("snow",), tool_call_id="c1"),
            ),
        ),
    ),
    (
        "ms_swift",
        {
            "messages": [user("Q?"), assistant("good")],
            "rejected_response": "bad",
            "images": [{"path": "a.png"}],
        },
        Preference(**PAIR, images=IMAGE),
    ),
    (
        "ms_swift",
        {"messages": [user("Q?"), assistant("good")], "rejected_messages": [user("Q?"), assistant("bad")]},
        Preference(**PAIR),
    ),
    (
        "nemo_rl",
        {
            "context": [user("Q?")],
            "completions": [
                {"rank": 1, "completion": [assistant("bad")]},
                {"rank": 0, "completion": [assistant("good")]},
            ],
        },
        Preference(question="Q?", responses=("bad", "good"), ranks=(1, 0)),
    ),
    (
        "r1_reward",
        {"message": message(TEXT_PART, IMAGE_PART), "question": "Q?", "answer": ["<answer>2</answer>"]},
        Preference(question="Q?", responses=("bad", "good"), ranks=(1, 0), images=(Path("/abs/b.png"),)),
    ),
    (
        "r1_reward",
        {"message": message(IMAGE_PART, TEXT_PART), "question": "Q?", "answer": "1", "image": "a.png"},
        Preference(question="Q?", responses=("bad", "good"), ranks=(0, 1), images=IMAGE),
    ),
    (
        "multimodal_rewardbench",
        {"ID": "v1", "Text": "Q?", "Output1": "bad", "Output2": "good", "Better": "Output2", "Image": "a.png"}
        | {"Category": "vqa"},
        Preference(
            question="Q?", responses=("bad", "good"), ranks=(1, 0), images=IMAGE, id="v1", category="vqa"
        ),
    ),
    (
        "vl_rewardbench",
        {"id": "r", "query": "Q?", "image": "a.png", "response": ["bad", "good"], "human_ranking": [1, 0]}
        | {"models": ["m", "n"], "judge": "human"},
        Preference(
            question="Q?",
            responses=("bad", "good"),
            ranks=(1, 0),
            images=IMAGE,
            id="r",
            extra={"judge": "human"},
        ),
    ),
    (
        "omnireward",
        {"id": "o", "prompt": "Q?", "response1": "bad", "response2": "good", "criteria": "Be short."}
        | {"criteria_preference": "response2", "image_path": "a.png"},
        Preference(
            question="Q?\n\nCriterion: Be short.",
            responses=("bad", "good"),
            ranks=(1, 0),
            images=IMAGE,
            id="o",
        ),
    ),
]


@pytest.mark.parametrize(("name", "row", "expected"), EXAMPLES)
def test_a_row_becomes_its_preference(name, row, expected):
    assert FORMATS[name].read(row, "rows.jsonl:1", FOLDER) == expected


@pytest.mark.parametrize(("name", "row", "expected"), EXAMPLES)
def test_law_the_first_format_that_matches_is_the_rows_own(name, row, expected):
    assert next(key for key, candidate in FORMATS.items() if candidate.matches(row)) == name


def test_every_format_has_an_example():
    assert {name for name, _, _ in EXAMPLES} == set(FORMATS)


@pytest.mark.parametrize(("name", "row", "expected"), EXAMPLES)
def test_law_a_missing_or_foreign_field_is_a_data_error_or_optional(name, row, expected):
    for field in row:
        for value in (None, 3, [], {}, "", [3], "\ud800"):
            try:
                FORMATS[name].read({**row, field: value}, "rows.jsonl:1", FOLDER)
            except DataError as error:
                assert str(error).startswith("rows.jsonl:1: ") and "\n" not in str(error)


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("stablereward", {"question": "Q?", "responses": ["x"]}, "'responses' is not a list of two"),
        (
            "stablereward",
            {"question": "Q?", "responses": ["x", " "]},
            r"'responses\[1\]' is an empty response",
        ),
        ("stablereward", {"question": "Q?", "responses": ["x", 1]}, r"'responses\[1\]' is int, not text"),
        ("stablereward", {"responses": ["x", "y"]}, "'question' is missing"),
        ("stablereward", {"question": "Q", "responses": ["x", "y"], "best": 2}, "an index from 0 to 1"),
        ("stablereward", {"question": "Q", "responses": ["x", "y"], "best": True}, "an index from 0 to 1"),
        ("stablereward", {"question": "Q", "responses": ["x", "y"], "ranks": [0]}, "one whole number per"),
        (
            "stablereward",
            {"question": "Q", "responses": ["x", "y"], "ranks": [0, 0.5]},
            "one whole number per",
        ),
        ("chosen_rejected", {"prompt": "Q?", "chosen": "", "rejected": "b"}, "'chosen' is an empty response"),
        ("chosen_rejected", {"prompt": "Q?", "chosen": "a\ud800", "rejected": "b"}, "lone surrogate"),
        (
            "trl",
            {"chosen": [user("P"), assistant("a")], "rejected": [user("Q"), assistant("b")]},
            "add 'prompt'",
        ),
        (
            "trl",
            {"prompt": [user("Q")], "chosen": [assistant("")], "rejected": [assistant("b")]},
            "empty response",
        ),
        ("sharegpt", {"conversations": [], "chosen": "a", "rejected": "b"}, "holds no messages"),
        (
            "sharegpt",
            {
                "conversations": [{"from": "human", "value": [{"type": "audio"}]}],
                "chosen": "a",
                "rejected": "b",
            },
            "part of type 'audio'",
        ),
        ("hh_rlhf", {"chosen": "\n\nHuman: Hi", "rejected": "\n\nHuman: Hi"}, "does not go from"),
        ("stablereward", {"question": "Q", "responses": ["x", "y"], "history": "Hi"}, "list of messages"),
        ("ms_swift", {"messages": [user("Q")], "rejected_response": "b"}, "does not end with the assistant"),
        ("nemo_rl", {"context": [user("Q")], "completions": [{}, {}]}, r"'completions\[0\].rank'"),
        ("r1_reward", {"message": "{", "answer": "1"}, "'message' is not JSON"),
        ("r1_reward", {"message": json.dumps([user("hi")]), "answer": "1"}, "R1-Reward's order"),
        ("r1_reward", {"message": message(TEXT_PART), "answer": ["<answer>3</answer>"]}, "'answer' is"),
        ("r1_reward", {"message": message(TEXT_PART), "answer": ["1", "2"]}, "'answer' is list"),
        ("multimodal_rewardbench", {"Better": "A"}, "write Output1 or Output2"),
        ("omnireward", {"criteria_preference": "A"}, "write response1, response2 or tie"),
    ],
)
def test_bad_rows_name_the_field_and_the_remedy(name, row, message):
    with pytest.raises(DataError, match=message):
        FORMATS[name].read(row, "rows.jsonl:1", FOLDER)


def png() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((48, 48), 80).save(buffer, format="PNG")
    return buffer.getvalue()


CONTENT = png()
BASE64 = base64.b64encode(CONTENT).decode()


@pytest.mark.parametrize(
    "value",
    [
        CONTENT,
        BASE64,
        f"data:image/png;base64,{BASE64}",
        {"bytes": CONTENT, "path": None},
        [{"bytes": CONTENT}],
    ],
)
def test_images_inside_the_row_are_decoded(value):
    row = {"prompt": "Q?", "chosen": "a", "rejected": "b", "image": value}
    (image,) = FORMATS["chosen_rejected"].read(row, "row", FOLDER).images
    assert isinstance(image, Image.Image)
    assert image.tobytes() == Image.open(io.BytesIO(CONTENT)).convert("RGB").tobytes()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("https://example.org/a.png", "is remote and is not fetched"),
        ("ftp://example.org/a.png", "is remote and is not fetched"),
        ("clip.mp4", "extract its frames"),
        (3, "an image is int"),
        (b"none", "not an image"),
        ("A" * 2000, "not an image"),
    ],
)
def test_images_that_are_not_read(value, message):
    row = {"prompt": "Q?", "chosen": "a", "rejected": "b", "image": value}
    with pytest.raises(DataError, match=f"^rows:2: .*{message}"):
        FORMATS["chosen_rejected"].read(row, "rows:2", FOLDER)


@pytest.mark.parametrize("name", ["clip", "clip.mp4", "clip.png"])
def test_a_video_is_a_folder_of_frames(name, tmp_path):
    (tmp_path / name).mkdir()
    for i in (10, 9):
        (tmp_path / name / f"{i}.jpg").touch()
    row = {"prompt": "Q?", "chosen": "a", "rejected": "b", "video": name, "image": "a.png"}
    images = FORMATS["chosen_rejected"].read(row, "row", tmp_path).images
    assert images == (tmp_path / "a.png", tmp_path / name / "9.jpg", tmp_path / name / "10.jpg")


def test_file_urls_are_local_paths():
    row = {"prompt": "Q?", "chosen": "a", "rejected": "b", "image": "file:///pictures/a.png"}
    assert FORMATS["chosen_rejected"].read(row, "row", FOLDER).images == (Path("/pictures/a.png"),)
