"""What is asked of a chat completion server, what it may refuse, and how its answers are read."""

import asyncio
import json
from collections.abc import Callable

import pytest

from stablereward.data.parsing import Verdict, verdict
from stablereward.engines.chat import extra_fields
from stablereward.engines.engine import Sampling
from stablereward.engines.http import OpenAIServer
from stablereward.errors import ConfigError
from stablereward.types import Completion, Failure, Message, Prompt, ToolCall
from tests.engines.asking import failure, generate
from tests.loopback import Reply, Request, loopback, says


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_the_request_is_a_chat_completion() -> None:
    sampling = Sampling(temperature=0.5, top_p=0.9, max_completion_length=7, seed=3)
    answers, server = generate(lambda _: says("hi"), sampling=sampling, api_key="secret")
    assert answers == [(Completion(text="hi"),)]
    [request] = server.requests
    assert request.target == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer secret"
    assert request.headers["accept-encoding"] == "identity"
    assert request.body == {
        "model": "judge",
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
        # All else that servers take from the model's generation config where it is unsent.
        "top_k": -1,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "repeat_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
    }


def test_extra_fields_are_added_and_none_leaves_one_out() -> None:
    extra = {"max_tokens": None, "max_completion_tokens": 9}
    _, server = generate(lambda _: says("hi"), extra=extra)
    assert "max_tokens" not in server.requests[0].body
    assert server.requests[0].body["max_completion_tokens"] == 9


FOREIGN = ("top_k", "min_p", "repetition_penalty", "repeat_penalty")
"""What OpenAI's own server has no field for."""


def refuses_one_by_one(request: Request) -> Reply:
    """As OpenAI does: the first unknown field is named, and newer models want the newer limit."""
    unknown = next((name for name in FOREIGN if name in request.body), None)
    if unknown:
        error = {"message": f"Unknown parameter: '{unknown}'.", "param": unknown, "code": "unknown_parameter"}
    elif "max_tokens" in request.body:
        message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        error = {"message": message, "param": "max_tokens", "code": "unsupported_parameter"}
    else:
        return says("taken")
    return Reply(json.dumps({"error": error}).encode(), status=400)


def refuses_all_at_once(request: Request) -> Reply:
    unknown = {name for name in FOREIGN if name in request.body}
    detail = json.dumps({"detail": f"Unexpected fields in the request: {unknown}"}).encode()
    return Reply(detail, status=422) if unknown else says("taken")


@pytest.mark.parametrize(("reply", "refusals"), [(refuses_one_by_one, 5), (refuses_all_at_once, 1)])
def test_refused_fields_are_left_out_from_then_on_and_said_once(
    reply: Callable[[Request], Reply], refusals: int, caplog: pytest.LogCaptureFixture
) -> None:
    prompts = [Prompt.user(text="a"), Prompt.user(text="b"), Prompt.user(text="c")]
    answers, server = generate(reply, prompts, max_concurrency=1)
    assert answers == [(Completion(text="taken"),)] * 3
    assert len(server.requests) == refusals + 3
    last = server.requests[-1].body
    assert not last.keys() & set(FOREIGN)
    assert (last["presence_penalty"], last["temperature"]) == (0.0, 1.0)
    assert last["max_completion_tokens" if refusals == 5 else "max_tokens"] == 16
    [record] = caplog.records
    said = record.getMessage()
    assert all(name in said for name in FOREIGN) and server.base_url.split("/")[2] in said


def test_many_requests_under_way_are_refused_together_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers, _ = generate(refuses_one_by_one, [Prompt.user(text=str(i)) for i in range(12)])
    assert answers == [(Completion(text="taken"),)] * 12
    assert len(caplog.records) == 1


def test_a_refused_value_is_no_refused_field(caplog: pytest.LogCaptureFixture) -> None:
    def reply(request: Request) -> Reply:
        if request.body.get("temperature") == 0:
            return Reply(b"`temperature` must be strictly positive", status=422)
        return says("taken")

    async def run() -> list[object]:
        async with loopback(reply) as server:
            engine = OpenAIServer(base_url=server.base_url, model="m")
            for temperature in (0.0, 0.0, 0.7):
                await engine.generate([Prompt.user(text="x")], Sampling(temperature=temperature))
            return [request.body.get("temperature") for request in server.requests]

    assert asyncio.run(run()) == [0, None, None, 0.7]
    assert "temperature 0;" in caplog.text


def refusing(
    message: str, when: Callable[[dict[str, object]], bool], status: int = 400
) -> Callable[[Request], Reply]:
    return lambda r: Reply(message.encode(), status=status) if when(r.body) else says("taken")


BOTH = "`temperature` and `top_p` cannot both be specified for this model. Please use only one."


@pytest.mark.parametrize(
    ("message", "when", "gone"),
    [
        (BOTH, lambda body: {"temperature", "top_p"} <= body.keys(), {"top_p"}),
        (
            "top_k is not supported. Supported parameters: temperature, top_p, seed, max_tokens",
            lambda body: "top_k" in body,
            {"top_k"},
        ),
        ("Unknown field: topK, minP", lambda body: "top_k" in body or "min_p" in body, {"top_k", "min_p"}),
    ],
)
def test_a_refusal_costs_the_field_that_matters_least(
    message: str, when: Callable[[dict[str, object]], bool], gone: set[str]
) -> None:
    sampling = Sampling(temperature=0.0, max_completion_length=16)
    answers, server = generate(refusing(message, when), sampling=sampling)
    first, last = server.requests[0].body, server.requests[-1].body
    assert answers == [(Completion(text="taken"),)]
    assert first.keys() - last.keys() == gone and last["temperature"] == 0


@pytest.mark.parametrize("status", [404, 500, 501])
def test_a_field_may_be_unknown_by_other_statuses(status: int) -> None:
    answers, server = generate(refusing("min_p unknown", lambda body: "min_p" in body, status))
    assert answers == [(Completion(text="taken"),)] and len(server.requests) == 2


def test_no_temperature_at_all_is_a_failure_that_says_what_to_do() -> None:
    reply = refusing("Unsupported parameter: 'temperature'", lambda body: "temperature" in body)
    answers, server = generate(reply)
    assert failure(answers).reason == "http_400" and len(server.requests) == 1
    assert "the server refuses temperature; --server-extra temperature=null" in failure(answers).detail
    assert generate(reply, extra={"temperature": None})[0] == [(Completion(text="taken"),)]


@pytest.mark.parametrize("message", ["extra fields not permitted", "Additional properties are not allowed"])
def test_a_refusal_without_a_name_is_of_all_that_is_switched_off(
    message: str, caplog: pytest.LogCaptureFixture
) -> None:
    reply = refusing(message, lambda body: "top_k" in body, 422)
    answers, server = generate(reply, [Prompt.user(text="a"), Prompt.user(text="b")], max_concurrency=1)
    assert answers == [(Completion(text="taken"),)] * 2 and len(server.requests) == 3
    kept = {"model", "messages", "max_tokens", "temperature", "seed"}
    assert server.requests[-1].body.keys() == kept
    assert len(caplog.records) == 1


def test_what_was_taken_is_not_what_a_nameless_refusal_is_of() -> None:
    def reply(request: Request) -> Reply:
        return Reply(b"too long", status=400) if request.text == "long" else says("taken")

    [_, long], server = generate(
        reply, [Prompt.user(text="short"), Prompt.user(text="long")], max_concurrency=1
    )
    assert isinstance(long, Failure) and len(server.requests) == 2


def test_content_in_parts_is_joined() -> None:
    def message(*parts: object) -> Reply:
        return says(None, message={"role": "assistant", "content": list(parts)})

    one, two = {"type": "text", "text": "<answer>"}, {"type": "text", "text": "1</answer>"}
    assert generate(lambda _: message(one, two))[0] == [(Completion(text="<answer>1</answer>"),)]
    for odd in ({"type": "audio"}, {"type": "text", "text": 1}, "x"):
        assert failure(generate(lambda _, odd=odd: message(one, odd))[0]).reason == "bad_response"  # type: ignore[misc]


def test_a_refusal_that_names_a_field_by_chance_changes_nothing_else() -> None:
    def reply(request: Request) -> Reply:
        if request.text == "long":
            return Reply(b"max_tokens or max_completion_tokens is too large", status=400)
        return says("taken")

    prompts = [Prompt.user(text="long"), Prompt.user(text="short")]
    [long, short], server = generate(reply, prompts, max_concurrency=1)
    assert isinstance(long, Failure) and "too large" in long.detail
    assert short == (Completion(text="taken"),)
    assert "top_k" in server.requests[-1].body and server.requests[-1].body["max_tokens"] == 16


def test_a_field_that_the_user_asks_for_is_never_dropped() -> None:
    answers, server = generate(refuses_all_at_once, extra={"top_k": 20, "min_p": None})
    assert failure(answers).reason == "http_422" and "top_k" in failure(answers).detail
    assert server.requests[0].body["top_k"] == 20 and "min_p" not in server.requests[0].body


@pytest.mark.parametrize(
    ("pairs", "fields"),
    [
        (["top_k=20", "min_p=0.05"], {"top_k": 20, "min_p": 0.05}),
        (["seed=null", "user=someone"], {"seed": None, "user": "someone"}),
        (
            ['chat_template_kwargs={"enable_thinking": false}'],
            {"chat_template_kwargs": {"enable_thinking": False}},
        ),
        (["stop=a=b"], {"stop": "a=b"}),
        ([], {}),
    ],
)
def test_extra_fields_are_written_as_name_and_value(pairs: list[str], fields: dict[str, object]) -> None:
    assert extra_fields(pairs) == fields


@pytest.mark.parametrize("pair", ["top_k", "=20", " =1"])
def test_an_extra_field_without_name_or_value_is_refused(pair: str) -> None:
    with pytest.raises(ConfigError, match="write name=value"):
        extra_fields([pair])


def test_samples_that_are_all_the_same_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    prompts = [Prompt.user(text="a"), Prompt.user(text="b")]
    generate(lambda _: says("one greedy text"), prompts, Sampling(num_generations=3))
    [record] = caplog.records
    assert "all 3 samples at temperature 1 are one and the same text" in record.getMessage()


@pytest.mark.parametrize(
    ("reply", "sampling"),
    [
        (lambda r: says(str(r.body["seed"])), Sampling(num_generations=3)),
        (lambda r: says("same"), Sampling(num_generations=3, temperature=0.0)),
        (lambda r: says("same"), Sampling(num_generations=2)),
    ],
)
def test_samples_that_may_be_the_same_are_not_said(
    reply: Callable[[Request], Reply], sampling: Sampling, caplog: pytest.LogCaptureFixture
) -> None:
    generate(reply, sampling=sampling)
    assert not caplog.records


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_in_its_own_field_is_the_thinking(field: str) -> None:
    def thinks(content: str | None, thought: object, finish_reason: str = "stop") -> Completion:
        message = {"role": "assistant", "content": content, field: thought}
        answers, _ = generate(lambda _: says(None, message=message, finish_reason=finish_reason))
        [[completion]] = answers  # type: ignore[misc]
        assert isinstance(completion, Completion)
        return completion

    whole = thinks("\n\n<answer>2</answer>", "Two it is.")
    assert verdict(whole.text, 2) == Verdict(choice=1, reasoning="Two it is.")
    assert whole.finished
    cut = thinks(None, "Two, or <answer>1</answer>", "length")
    assert (cut.text, cut.finished) == ("<think>Two, or <answer>1</answer>", False)
    read = verdict(cut.text, 2)
    assert isinstance(read, Failure) and read.reason == "truncated"
    assert thinks("<answer>1", "So one.", "length").text == "<think>So one.</think><answer>1"
    assert thinks(None, "Only thought.").text == "<think>Only thought.</think>"
    # Some servers leave the thinking in the content as well, and others send an empty field.
    both = "<think>Two it is.</think><answer>2</answer>"
    assert thinks(both, "Two it is.\n").text == both
    for nothing in ("", None, {"effort": "high"}):
        assert thinks("plain", nothing).text == "plain"


def test_no_content_at_the_length_limit_is_a_cut_text_and_no_bad_answer() -> None:
    assert generate(lambda _: says(None, finish_reason="length"))[0] == [
        (Completion(text="", finished=False),)
    ]
    assert failure(generate(lambda _: says(None))[0]).reason == "bad_response"


def test_turns_calls_of_tools_and_their_results_are_sent_as_such() -> None:
    place, day = {"place": "Århus"}, {"day": 2}
    talk = (
        Message("system", ("Be brief.",)),
        Message("user", ("Weather?",)),
        Message("assistant", (), (ToolCall("weather", place, "w"), ToolCall("date", day))),
        Message("tool", ("Monday",)),
        Message("tool", ("rain",), tool_call_id="w"),
        Message("assistant", ("I ask again.",), (ToolCall("date", {}),)),
        Message("tool", ("Tuesday",)),
        Message("user", ("So?",)),
    )

    def call(id: str, name: str, arguments: str) -> dict[str, object]:
        return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}

    _, server = generate(lambda _: says("hi"), [Prompt(messages=talk)])
    assert server.requests[0].body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [call("w", "weather", '{"place": "Århus"}'), call("call_1", "date", '{"day": 2}')],
        },
        # A result without an id is that of the first call without one that has none yet.
        {"role": "tool", "content": "Monday", "tool_call_id": "call_1"},
        {"role": "tool", "content": "rain", "tool_call_id": "w"},
        {"role": "assistant", "content": "I ask again.", "tool_calls": [call("call_2", "date", "{}")]},
        {"role": "tool", "content": "Tuesday", "tool_call_id": "call_2"},
        {"role": "user", "content": "So?"},
    ]
