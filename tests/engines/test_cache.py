import asyncio
from pathlib import Path

import pytest
from PIL import Image

from stablereward.engines.cache import Cached
from stablereward.engines.engine import Sampling
from stablereward.engines.scripted import Scripted
from stablereward.errors import StorageError
from stablereward.types import Completion, Failure, Message, Prompt, ToolCall


class Counting:
    """Answers with how many questions came before, so that two answers are equal only from the cache."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def engine(self) -> Scripted:
        return Scripted(self._reply)

    def _reply(self, prompt: Prompt, index: int) -> str | Failure:
        self.asked.append(prompt.text)
        return Failure(reason="down") if prompt.text == "bad" else f"{prompt.text} {len(self.asked)}"


def ask(engine: Cached, *prompts: Prompt, **sampling: float) -> list[tuple[Completion, ...] | Failure]:
    return asyncio.run(engine.generate(prompts, Sampling(**sampling)))  # type: ignore[arg-type]


def test_a_question_is_asked_once_and_keeps_its_place() -> None:
    counting = Counting()
    engine = Cached(counting.engine(), "m")
    a, b = Prompt.user(text="a"), Prompt.user(text="b")
    [first] = ask(engine, b)
    assert ask(engine, a, b, a) == [(Completion(text="a 2"),), first, (Completion(text="a 2"),)]
    assert counting.asked == ["b", "a"]


def test_another_text_image_sampling_or_identity_is_another_question() -> None:
    counting = Counting()
    red, blue = (Image.new("RGB", (2, 2), colour) for colour in ("red", "blue"))
    for identity in ("m", "n"):
        engine = Cached(counting.engine(), identity)
        ask(engine, Prompt.user(text="a"), Prompt.user(text="b"))
        ask(engine, Prompt.user(text="a", images=(red,)), Prompt.user(text="a", images=(blue,)))
        ask(engine, Prompt.user(text="a", images=(red.copy(),)))
        ask(engine, Prompt.user(text="a"), seed=1)
        ask(engine, Prompt.user(text="a"), temperature=0.0)
    assert len(counting.asked) == 12


def test_another_role_call_or_result_is_another_question() -> None:
    counting = Counting()
    engine = Cached(counting.engine(), "m")

    def talk(role: str, call: ToolCall, answers: str) -> Prompt:
        said = (Message(role, ("a",)), Message("assistant", (), (call,)), Message("tool", (), (), answers))
        return Prompt(messages=said)

    one = ToolCall("f", {"x": 1}, "c")
    ask(engine, talk("user", one, "c"), talk("system", one, "c"), talk("user", one, "d"))
    ask(engine, talk("user", ToolCall("f", {"x": 2}, "c"), "c"), talk("user", ToolCall("f", {"x": 1}), "c"))
    ask(engine, talk("user", ToolCall("f", {"x": 1}, "c"), "c"))
    assert len(counting.asked) == 5


def test_failures_are_asked_again() -> None:
    counting = Counting()
    engine = Cached(counting.engine(), "m")
    for _ in range(2):
        assert ask(engine, Prompt.user(text="bad")) == [Failure(reason="down")]
    assert counting.asked == ["bad", "bad"]


def test_an_unreadable_image_fails_its_prompt_alone(tmp_path: Path) -> None:
    engine = Cached(Counting().engine(), "m")
    bad, good = ask(engine, Prompt.user(text="a", images=(tmp_path / "absent.png",)), Prompt.user(text="b"))
    assert isinstance(bad, Failure)
    assert bad.reason == "bad_image"
    assert good == (Completion(text="b 1"),)


def test_a_later_run_finds_the_folder(tmp_path: Path) -> None:
    kept = Completion(text="t", token_ids=(1, 2), logprobs=(-0.25, -1.5), finished=False)

    class One:
        async def generate(
            self, prompts: object, sampling: Sampling
        ) -> list[tuple[Completion, ...] | Failure]:
            return [(kept,)]

    ask(Cached(One(), "m", tmp_path / "cache"), Prompt.user(text="a"))
    counting = Counting()
    assert ask(Cached(counting.engine(), "m", tmp_path / "cache"), Prompt.user(text="a")) == [(kept,)]
    assert counting.asked == []


def test_a_torn_last_line_costs_one_question(tmp_path: Path) -> None:
    a, b, c = (Prompt.user(text=text) for text in "abc")
    ask(Cached(Counting().engine(), "m", tmp_path), a, b)
    path = tmp_path / "completions.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    for prompts, asked in [((a, b, c), ["b", "c"]), ((a, b, c), [])]:
        counting = Counting()
        ask(Cached(counting.engine(), "m", tmp_path), *prompts)
        assert counting.asked == asked


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"):
        Cached(Counting().engine(), "m", tmp_path / "file" / "cache")
