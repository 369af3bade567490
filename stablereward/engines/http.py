"""An engine on the other side of HTTP: any server that speaks OpenAI's chat completions."""

import asyncio
import json
import logging
import random
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus

import httpx

from stablereward.engines import chat
from stablereward.engines.engine import Sampling
from stablereward.errors import ConfigError, DataError
from stablereward.types import Completion, Failure, Prompt

_FIRST_WAIT_S = 0.5
_MAX_WAIT_S = 30.0
_MAX_DETAIL = 300
_MANY_SAMPLES = 3
"""So many equal samples at a temperature are no chance."""
_PERHAPS_REFUSALS = (HTTPStatus.NOT_FOUND, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.NOT_IMPLEMENTED)
"""What some servers answer to a field that they do not know."""
_log = logging.getLogger(__name__)
# Its own generator: waiting must not move the random state that a run resumes from.
_JITTER = random.Random()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenAIServer:
    """An `Engine` over `{base_url}/chat/completions` of vLLM, SGLang, llama.cpp, OpenAI and the like.

    A prompt is one user message, its images (as PNG data URLs) before its text. Each of the K
    generations is a request of its own with its own seed, so that every server can do it; of several
    choices the first is read. Connection errors, timeouts, 429 and 5xx are tried again, up to `retries`
    times, after a wait that doubles from half a second (or is what Retry-After says in seconds), at
    most 30 s.

    A request names every field that changes sampling, with `chat.NEUTRAL` for those that `Sampling`
    lacks, because servers fill what is unsent from the model's generation config. A server that refuses
    fields by name (400 or 422; of `chat.NEUTRAL` also 404, 500 or 501) is asked again without them, first
    without those that only switch something off; one that refuses a request without naming a field of
    it, once without all of these. What was taken so is asked so from then on, and a warning says so once,
    as it does where samples at a temperature are all the same text. A temperature is left out only where
    its value is refused; a server that takes none at all is a failure that says so.

    `timeout` is in seconds for one try, from connecting to the last byte. `max_concurrency` holds
    for all calls under way in one event loop. `extra` are fields for the request body, such as
    `{"logprobs": True}`, which win over the engine's own and are always sent; a field that is None is
    left out, such as `{"top_k": None}`.

    Reasoning that a server puts into a field of its own is joined to the text as `<think>…</think>`.

    Failures: "bad_image", "unreachable", "timeout", "http_<status>", "response_too_large",
    "bad_response" (not a chat completion). Raises ConfigError for settings that cannot work.
    """

    base_url: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    max_concurrency: int = 8
    timeout: float = 60.0
    retries: int = 3
    max_response_bytes: int = 8 * 2**20
    extra: Mapping[str, object] = field(default_factory=dict)
    _lines: "dict[asyncio.AbstractEventLoop, _Line]" = field(default_factory=dict, init=False, repr=False)
    _refused: set[chat.Refused] = field(default_factory=set, init=False, repr=False)
    _taken: set[chat.Refused] = field(default_factory=set, init=False, repr=False)
    _said: set[str] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        if not is_web_address(self.base_url):
            raise ConfigError(f"base_url is {self.base_url!r}; it must be like http://localhost:8000/v1")
        if not 0 < self.timeout < float("inf"):
            raise ConfigError(f"timeout is {self.timeout:g}; it must be a number of seconds above 0")
        if self.max_concurrency < 1 or self.retries < 0:
            raise ConfigError("max_concurrency must be at least 1 and retries at least 0")
        if self.api_key is not None and not (self.api_key.isascii() and self.api_key.isprintable()):
            raise ConfigError("the API key has a character that no header may have; is there a line break?")

    async def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> list[tuple[Completion, ...] | Failure]:
        """See `Engine.generate`. The completions have no token ids; log-probs where the server sent them."""
        async with self._line() as line:
            return list(await asyncio.gather(*(self._answer(line, prompt, sampling) for prompt in prompts)))

    @property
    def progress(self) -> tuple[int, int]:
        """How many requests of the calls under way are answered, and how many there are."""
        lines = tuple(self._lines.values())
        return sum(line.num_answered for line in lines), sum(line.num_asked for line in lines)

    @asynccontextmanager
    async def _line(self) -> AsyncIterator["_Line"]:
        """The connections of this event loop: opened by its first call under way, closed by its last."""
        loop = asyncio.get_running_loop()
        if loop not in self._lines:
            self._lines[loop] = _Line(self)
        line = self._lines[loop]
        line.num_calls += 1
        try:
            yield line
        finally:
            line.num_calls -= 1
            if line.num_calls == 0:
                del self._lines[loop]
                await line.client.aclose()

    async def _answer(
        self, line: "_Line", prompt: Prompt, sampling: Sampling
    ) -> tuple[Completion, ...] | Failure:
        async with line.prompt_slots:
            try:
                async with line.encoding:
                    messages = await asyncio.to_thread(chat.messages_of, prompt)
            except DataError as error:
                return Failure(reason="bad_image", detail=str(error))
            bodies = [
                chat.request(self.model, messages, sampling, k) for k in range(sampling.num_generations)
            ]
            line.num_asked += len(bodies)
            answers = await asyncio.gather(*(self._ask(line, body) for body in bodies))
        failures = [answer for answer in answers if isinstance(answer, Failure)]
        if failures:
            return failures[0]
        completions = tuple(answer for answer in answers if isinstance(answer, Completion))
        self._compare(completions, sampling.temperature)
        return completions

    async def _ask(self, line: "_Line", body: dict[str, object]) -> Completion | Failure:
        """One completion, without the fields that the server refuses."""
        refused: set[chat.Refused] = set()
        own = {name: value for name, value in body.items() if name not in self.extra}
        async with line.request_slots:
            while True:
                left = chat.without(own, self._refused | refused)
                answer = await self._persist(line, {**left, **self.extra})
                if not isinstance(answer, _Refused):
                    break
                named = chat.refused_by(answer.text, left) or self._perhaps_refused(answer.text, left)
                if not named or chat.NO_TEMPERATURE in named:
                    answer = self._no_temperature(answer) if named else answer.failure
                    break
                refused |= named
        if isinstance(answer, Completion):
            self._taken.update(chat.neutral(left))
        line.num_answered += 1
        if refused - self._refused and isinstance(answer, Completion):
            names = sorted(
                name if value is None else f"{name} {value:g}" for name, value in refused - self._refused
            )
            self._refused.update(refused)
            self._say_once(f"the server refuses {', '.join(names)}; it is asked without and uses its own")
        return answer

    def _perhaps_refused(self, text: str, left: Mapping[str, object]) -> set[chat.Refused]:
        """What a refusal without a name may be of: all that is switched off, unless it was taken before."""
        of_the_user = self.extra.keys() & set(re.findall(r"\w+", text))
        return set() if of_the_user else chat.neutral(left) - self._taken

    def _no_temperature(self, refusal: "_Refused") -> Failure:
        return self._failure(
            refusal.failure.reason,
            "the server refuses temperature; --server-extra temperature=null (extra) leaves it out, and the "
            f"server samples in its own way. It says: {refusal.text}",
        )

    async def _persist(self, line: "_Line", body: dict[str, object]) -> "Completion | Failure | _Refused":
        """The answer after all tries. Waits keep their slot, so that a server in trouble is left alone."""
        body = {name: value for name, value in body.items() if value is not None}
        began = time.monotonic()
        for attempt in range(self.retries):
            answer = await self._try(line.client, body)
            if not isinstance(answer, _Again):
                return answer
            backoff = min(_FIRST_WAIT_S * 2**attempt, _MAX_WAIT_S) * _JITTER.uniform(0.5, 1.0)
            await asyncio.sleep(backoff if answer.wait_s is None else answer.wait_s)
        answer = await self._try(line.client, body)
        if not isinstance(answer, _Again):
            return answer
        tried = f" (the last of {self.retries + 1} tries, {time.monotonic() - began:.0f} s in all)"
        return replace(
            answer.failure, detail=answer.failure.detail + tried if self.retries else answer.failure.detail
        )

    async def _try(
        self, client: httpx.AsyncClient, body: dict[str, object]
    ) -> "Completion | Failure | _Again | _Refused":
        try:
            async with asyncio.timeout(self.timeout):
                response, reply = await self._post(client, body)
        except (TimeoutError, httpx.TimeoutException):
            return _Again(self._failure("timeout", f"no complete answer within {self.timeout:g} s"))
        except httpx.TransportError as error:
            return _Again(self._failure("unreachable", f"{type(error).__name__} {error}"))
        if reply is None:
            return self._failure("response_too_large", f"more than {self.max_response_bytes} bytes")
        status = response.status_code
        if response.is_success:
            try:
                return chat.completion(reply)
            except ValueError as error:
                return self._failure("bad_response", str(error))
        text = reply.decode(errors="replace")
        failure = self._failure(f"http_{status}", text)
        if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
            return _Refused(failure, text)
        own = {name: value for name, value in body.items() if name not in self.extra}
        if status in _PERHAPS_REFUSALS and chat.named_neutral(text, own) - self._taken:
            return _Refused(failure, text)
        if status == HTTPStatus.TOO_MANY_REQUESTS or response.is_server_error:
            return _Again(failure, _retry_after(response.headers.get("Retry-After", "")))
        return failure

    async def _post(
        self, client: httpx.AsyncClient, body: dict[str, object]
    ) -> tuple[httpx.Response, bytes | None]:
        """The response and its body; None where the body is larger than allowed."""
        reply = bytearray()
        # ASCII, since text with half a surrogate pair has no UTF-8; raw, since a small compressed
        # body can expand without bound.
        content = json.dumps(body, ensure_ascii=True).encode("ascii")
        async with client.stream("POST", "chat/completions", content=content) as response:
            async for chunk in response.aiter_raw():
                reply += chunk
                if len(reply) > self.max_response_bytes:
                    return response, None
        return response, bytes(reply)

    def _failure(self, reason: str, detail: str) -> Failure:
        """A failure with the address and a bounded, printable detail that never shows the key."""
        if self.api_key:
            detail = detail.replace(self.api_key, "***")
        printable = "".join(c if c.isprintable() else " " for c in detail[: 2 * _MAX_DETAIL])
        return Failure(reason=reason, detail=f"{self._address}: {' '.join(printable.split())[:_MAX_DETAIL]}")

    def _compare(self, samples: Sequence[Completion], temperature: float) -> None:
        if temperature > 0 and len(samples) >= _MANY_SAMPLES and len({one.text for one in samples}) == 1:
            self._say_once(
                f"all {len(samples)} samples at temperature {temperature:g} are one and the same text; "
                "does the server sample? Its model's generation config may say otherwise (do_sample, top_k)"
            )

    def _say_once(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            _log.warning("%s: %s", self._address, line)

    @property
    def _address(self) -> str:
        return httpx.URL(self.base_url).netloc.decode()


class _Line:
    """The open connections to a server from one event loop, and what may use them at once."""

    def __init__(self, server: OpenAIServer) -> None:
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        if server.api_key:
            headers["Authorization"] = f"Bearer {server.api_key}"
        # The slots are the limit: waiting in the pool would count as part of a try's timeout.
        limits = httpx.Limits(max_connections=None)
        self.client = httpx.AsyncClient(
            base_url=server.base_url, headers=headers, timeout=server.timeout, limits=limits
        )
        self.request_slots = asyncio.Semaphore(server.max_concurrency)
        # Also bounded, so that only so many prompts have their images encoded in memory.
        self.prompt_slots = asyncio.Semaphore(server.max_concurrency)
        # One at a time: two prompts may share an image, and Pillow loads a lazy one without a lock.
        self.encoding = asyncio.Lock()
        self.num_calls = 0
        self.num_asked = 0
        self.num_answered = 0


@dataclass(frozen=True, slots=True)
class _Again:
    """A failure that may pass, and how many seconds the server asks to wait."""

    failure: Failure
    wait_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Refused:
    """A request that the server does not take as it is, and what it says of it."""

    failure: Failure
    text: str


def is_web_address(text: str) -> bool:
    """Whether requests can be sent there: http or https, and a host."""
    try:
        url = httpx.URL(text)
        host = url.host.encode("idna")  # as a connection does it
    except (httpx.InvalidURL, UnicodeError):
        return False
    return url.scheme in ("http", "https") and bool(host) and (url.port is None or 0 < url.port < 2**16)


def _retry_after(header: str) -> float | None:
    """Whole seconds, bounded; None for a date or nothing."""
    return min(float(header), _MAX_WAIT_S) if header.isdecimal() else None
