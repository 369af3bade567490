import asyncio
import base64
import io
import json
import time
from pathlib import Path

import pytest
from PIL import Image

from stablereward.engines.engine import Sampling
from stablereward.engines.http import OpenAIServer
from stablereward.errors import ConfigError
from stablereward.types import Completion, Failure, Prompt
from tests.engines.asking import ONE, failure, generate
from tests.loopback import Reply, Request, closed_port_url, loopback, says


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_images_go_before_the_text_as_png(tmp_path: Path) -> None:
    picture = Image.new("RGB", (3, 2), (10, 200, 30))
    picture.save(tmp_path / "picture.png")
    prompt = Prompt.user(text="look", images=(picture, tmp_path / "picture.png"))
    _, server = generate(lambda _: says("seen"), [prompt])
    first, second, text = server.requests[0].body["messages"][0]["content"]
    assert text == {"type": "text", "text": "look"}
    for part in (first, second):
        prefix, _, data = part["image_url"]["url"].partition(",")
        assert prefix == "data:image/png;base64"
        sent = Image.open(io.BytesIO(base64.b64decode(data)))
        assert (sent.size, sent.getpixel((0, 0))) == ((3, 2), (10, 200, 30))


def test_an_unreadable_image_fails_its_prompt_alone(tmp_path: Path) -> None:
    prompts = [Prompt.user(text="a", images=(tmp_path / "absent.png",)), Prompt.user(text="b")]
    [bad, good], _ = generate(lambda _: says("fine"), prompts)
    assert isinstance(bad, Failure)
    assert bad.reason == "bad_image"
    assert good == (Completion(text="fine"),)


def test_every_generation_has_its_own_seed() -> None:
    seeds: list[int] = []
    for seed in (0, 1):
        sampling = Sampling(num_generations=3, seed=seed)
        answers, server = generate(lambda r: says(str(r.body["seed"])), sampling=sampling)
        texts = [completion.text for completion in answers[0]]  # type: ignore[union-attr]
        assert texts == sorted(texts)
        seeds += [request.body["seed"] for request in server.requests]
    assert len(set(seeds)) == 6


def test_cut_by_the_length_limit_is_not_finished() -> None:
    [[completion]], _ = generate(lambda _: says("and so", finish_reason="length"))  # type: ignore[misc]
    assert not completion.finished


def test_logprobs_are_kept_where_the_server_sends_them() -> None:
    logprobs = {"content": [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -2}]}
    [[completion]], _ = generate(lambda _: says("ab", logprobs=logprobs))  # type: ignore[misc]
    assert completion.logprobs == (-0.5, -2.0)


def test_answers_keep_the_order_of_the_prompts_whatever_the_delays() -> None:
    prompts = [Prompt.user(text=str(i)) for i in range(12)]
    answers, server = generate(
        lambda r: says(r.text, delay=0.02 * (int(r.text) * 7 % 5)), prompts, max_concurrency=5
    )
    assert answers == [(Completion(text=str(i)),) for i in range(12)]
    assert 1 < server.most_waiting <= 5


def test_concurrency_is_bounded_over_separate_calls() -> None:
    async def run() -> tuple[int, int]:
        async with loopback(lambda r: says(r.text, delay=0.02)) as server:
            engine = OpenAIServer(base_url=server.base_url, model="m", max_concurrency=2)
            calls = (engine.generate([Prompt.user(text=str(i))], ONE) for i in range(6))
            answers = await asyncio.gather(*calls)
            assert answers == [[(Completion(text=str(i)),)] for i in range(6)]
            await asyncio.sleep(0.05)
            return server.most_waiting, server.num_open

    assert asyncio.run(run()) == (2, 0)


def test_waiting_for_a_turn_is_not_part_of_the_timeout() -> None:
    sampling = Sampling(num_generations=6)
    [answer], server = generate(
        lambda _: says("ok", delay=0.2), sampling=sampling, max_concurrency=2, timeout=0.5, retries=0
    )
    assert answer == (Completion(text="ok"),) * 6
    assert server.most_waiting == 2


def test_one_engine_serves_several_event_loops() -> None:
    engine = OpenAIServer(base_url=closed_port_url(), model="m", retries=0)
    for _ in range(2):
        assert failure(asyncio.run(engine.generate([Prompt.user(text="x")], ONE))).reason == "unreachable"


@pytest.mark.parametrize(("status", "times"), [(429, 1), (500, 1), (503, 2)])
def test_a_passing_trouble_is_tried_again(status: int, times: int) -> None:
    def reply(request: Request) -> Reply:
        return says("at last") if request.number == times else Reply(b"busy", status=status)

    answers, server = generate(reply, retries=3)
    assert answers == [(Completion(text="at last"),)]
    assert len(server.requests) == times + 1


def test_retries_end() -> None:
    answers, server = generate(lambda _: Reply(b"overloaded", status=503), retries=1)
    assert failure(answers).reason == "http_503"
    assert "overloaded" in failure(answers).detail
    assert len(server.requests) == 2


def test_retry_after_is_waited_for() -> None:
    def reply(request: Request) -> Reply:
        return says("ok") if request.number else Reply(b"", status=429, headers={"Retry-After": "1"})

    started = time.monotonic()
    answers, _ = generate(reply)
    assert answers == [(Completion(text="ok"),)]
    # Without the header the first wait is at most half a second.
    assert time.monotonic() - started >= 1.0


@pytest.mark.parametrize("status", [301, 400, 401, 404, 422])
def test_what_cannot_pass_is_not_tried_again(status: int) -> None:
    message = json.dumps({"error": {"message": "no such model\n" + "x" * 10_000}}).encode()
    answers, server = generate(lambda _: Reply(message, status=status))
    assert failure(answers).reason == f"http_{status}"
    assert "no such model" in failure(answers).detail
    assert len(failure(answers).detail) < 400
    # What names no field may be of those that are switched off: once without.
    assert len(server.requests) == (2 if status in (400, 422) else 1)


def test_the_key_is_never_shown() -> None:
    answers, server = generate(lambda _: Reply(b"bad key sk-123", status=401), api_key="sk-123")
    assert "sk-123" not in failure(answers).detail
    assert "sk-123" not in repr(OpenAIServer(base_url=server.base_url, model="m", api_key="sk-123"))


def test_a_slow_server_is_a_timeout() -> None:
    started = time.monotonic()
    answers, server = generate(lambda _: says("late", delay=0.6), timeout=0.1, retries=1)
    assert failure(answers).reason == "timeout"
    assert len(server.requests) == 2
    assert time.monotonic() - started < 2


def test_a_server_that_drips_is_a_timeout() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        try:
            for _ in range(50):
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def run() -> list[tuple[Completion, ...] | Failure]:
        async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            engine = OpenAIServer(base_url=f"http://127.0.0.1:{port}", model="m", timeout=0.2, retries=0)
            return await engine.generate([Prompt.user(text="x")], ONE)

    assert failure(asyncio.run(run())).reason == "timeout"


def test_a_dead_server_is_a_failure_soon() -> None:
    engine = OpenAIServer(base_url=closed_port_url(), model="m", timeout=5, retries=1)
    started = time.monotonic()
    answers = asyncio.run(engine.generate([Prompt.user(text="a"), Prompt.user(text="b")], ONE))
    assert [answer.reason for answer in answers] == ["unreachable", "unreachable"]  # type: ignore[union-attr]
    assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{"message": {"content": null}}]}',
        b'{"choices": [{"message": {"content": 1}}]}',
        b'{"choices": [{"message": {"content": "a"}, "logprobs": {"content": [{"logprob": NaN}]}}]}',
        b'{"choices": ' + b"[" * 100_000,
        b"\xff\xfe",
        b'{"choices": [{"message": {"content": "\\ud800"}}]}',
    ],
)
def test_a_malformed_reply_is_a_failure(body: bytes) -> None:
    answers, server = generate(lambda _: Reply(body))
    assert failure(answers).reason == "bad_response"
    assert len(server.requests) == 1


def test_a_huge_reply_is_not_read_to_its_end() -> None:
    answers, _ = generate(lambda _: says("x" * 200_000), max_response_bytes=10_000)
    assert failure(answers).reason == "response_too_large"


def test_half_a_surrogate_pair_can_be_sent() -> None:
    answers, server = generate(lambda _: says("ok"), [Prompt.user(text="\ud800")])
    assert answers == [(Completion(text="ok"),)]
    assert server.requests[0].text == "\ud800"


def test_one_bad_generation_fails_its_prompt_and_no_other() -> None:
    def reply(request: Request) -> Reply:
        if request.text == "bad" and request.body["seed"] == 1:
            return Reply(b"no", status=400)
        return says(request.text)

    prompts = [Prompt.user(text="a"), Prompt.user(text="bad"), Prompt.user(text="b")]
    [a, bad, b], _ = generate(reply, prompts, Sampling(num_generations=2))
    assert isinstance(bad, Failure)
    assert (a, b) == ((Completion(text="a"),) * 2, (Completion(text="b"),) * 2)


def test_cancelling_closes_the_connections() -> None:
    async def run() -> int:
        async with loopback(lambda _: says("late", delay=5)) as server:
            engine = OpenAIServer(base_url=server.base_url, model="m")
            call = asyncio.create_task(engine.generate([Prompt.user(text="x")] * 3, ONE))
            while server.num_waiting < 3:
                await asyncio.sleep(0.01)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            return len(engine._lines)

    assert asyncio.run(run()) == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"base_url": "localhost:8000/v1"},
        {"base_url": "http://"},
        {"base_url": "http://[::1"},
        {"base_url": "http://127.0.0.1:99999/v1"},
        {"base_url": "http://127.0.0.1:0/v1"},
        {"base_url": f"http://{'a' * 70}/v1"},
        {"base_url": "http://a..b/v1"},
        {"base_url": "http://xn--/v1"},
        {"max_concurrency": 0},
        {"timeout": 0.0},
        {"timeout": float("inf")},
        {"timeout": float("nan")},
        {"retries": -1},
        {"api_key": "key\n"},
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        OpenAIServer(**{"base_url": "http://127.0.0.1:1/v1", "model": "m", **settings})  # type: ignore[arg-type]
